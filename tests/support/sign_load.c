/*
 * sign-load SOCKET KEY: threads that sign with the P-256 key of this id (in hex) over libimmure's
 * blocking exchange, each on a connection of its own, until TERM. Built for tests, never installed.
 *
 * Ten times a second and at the end, a line: {"signed":N,"failed":N,"error":"the last one's text"}.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "immure/blocking.h"
#include "immure/scheme.h"

#define THREADS 4
#define TIMEOUT (20 * NS_PER_S)
#define REPORT_NS (100 * NS_PER_MS)
#define PAUSE_NS (10 * NS_PER_MS) /* after a failure, which costs nothing */

static struct {
    const char *path;
    struct immure_request request;
    atomic_uint_fast64_t signatures, failures;
    pthread_mutex_t lock;
    char error[256]; /* under the lock */
    atomic_bool stop;
} load = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note_failure(const char *text)
{
    atomic_fetch_add(&load.failures, 1);
    pthread_mutex_lock(&load.lock);
    snprintf(load.error, sizeof load.error, "%s", text);
    pthread_mutex_unlock(&load.lock);
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

static void note(void *arg, const struct immure_reply *reply)
{
    (void)arg;
    if (reply->error == IMMURE_OK)
        atomic_fetch_add(&load.signatures, 1);
    else
        note_failure(reply->error_text);
}

static void *sign_on(void *arg)
{
    (void)arg;
    struct immure_blocking *blocking = immure_blocking_unix(load.path);
    while (blocking != NULL && !atomic_load(&load.stop))
        immure_blocking_request(blocking, &load.request, TIMEOUT);
    immure_blocking_free(blocking);
    return NULL;
}

static void report(void)
{
    pthread_mutex_lock(&load.lock);
    printf("{\"signed\":%" PRIuFAST64 ",\"failed\":%" PRIuFAST64 ",\"error\":\"%s\"}\n",
           atomic_load(&load.signatures), atomic_load(&load.failures), load.error);
    pthread_mutex_unlock(&load.lock);
    fflush(stdout);
}

static bool parse_key(const char *text)
{
    for (size_t i = 0; i < IMMURE_KEY_ID_SIZE; i++)
        if (sscanf(text + 2 * i, "%2hhx", &load.request.key_id[i]) != 1)
            return false;
    return strlen(text) == (size_t)2 * IMMURE_KEY_ID_SIZE;
}

int main(int argc, char **argv)
{
    static uint8_t message[64 + 34 + 32];
    pthread_t threads[THREADS];
    sigset_t term;
    if (argc != 3 || !parse_key(argv[2])) {
        fputs("usage: sign-load SOCKET KEY\n", stderr);
        return EXIT_FAILURE;
    }
    /* what CertificateVerify signs (RFC 8446, section 4.4.3) */
    memset(message, ' ', 64);
    memcpy(message + 64, "TLS 1.3, server CertificateVerify", 34);
    load.path = argv[1];
    load.request.operation = IMMURE_SIGN;
    load.request.scheme = IMMURE_ECDSA_SHA256;
    load.request.input = message;
    load.request.input_length = sizeof message;
    load.request.callback = note;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, NULL);
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, sign_on, NULL) != 0)
            return EXIT_FAILURE;
    while (sigtimedwait(&term, NULL, &(struct timespec){.tv_nsec = REPORT_NS}) != SIGTERM)
        report();
    atomic_store(&load.stop, true);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    report();
    return EXIT_SUCCESS;
}
