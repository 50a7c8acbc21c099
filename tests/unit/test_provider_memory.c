/*
 * A whole life of client, provider and libssl in which one allocation fails: the first, the second,
 * and so on, each in a process of its own that must exit normally. Linked with --wrap for the
 * allocators. First only allocations of client and provider fail; then, once there is a library
 * context, also those of libcrypto and libssl: a sample, or with IMMURE_LONG set each of the first
 * 10,000.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "fake_immured.h"
#include "provider/provider.h"
#include "provider_fixture.h"

#define FIRST 10000 /* the first allocations, all of which fail in turn */
#define LIVES 60    /* of a sample */
#define PATIENCE 20 /* s, for one life */
#define FLIGHTS_MAX 20
#define FDS_MAX 4
enum end { END_REACHED, END_NOT_REACHED, END_TESTS_FAULT };

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

static size_t until_failure; /* 0: none fails */
static bool libcrypto_fails; /* or client and provider alone */

static bool fails(void)
{
    return until_failure > 0 && --until_failure == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

static void *crypto_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return libcrypto_fails ? __wrap_malloc(size) : __real_malloc(size);
}

static void *crypto_realloc(void *memory, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return libcrypto_fails ? __wrap_realloc(memory, size) : __real_realloc(memory, size);
}

static void crypto_free(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    free(memory);
}

static struct fake_immured immured;
static char configuration[] = "/tmp/immure-test-memory.XXXXXX";
static char *reference;

/* Like a server with the provider in its openssl.cnf. */
static OSSL_LIB_CTX *make_context(void)
{
    OSSL_LIB_CTX *made = OSSL_LIB_CTX_new();
    if (made != NULL && OSSL_PROVIDER_add_builtin(made, "immure", provider_init) == 1 &&
        OSSL_LIB_CTX_load_config(made, configuration) == 1)
        return made;
    OSSL_LIB_CTX_free(made);
    return NULL;
}

/* False if there is nothing to wait for, or it took too long. */
static bool wait_for_signature(SSL *server)
{
    OSSL_ASYNC_FD descriptors[FDS_MAX];
    size_t count = 0;
    if (SSL_get_all_async_fds(server, NULL, &count) != 1 || count == 0 || count > FDS_MAX ||
        SSL_get_all_async_fds(server, descriptors, &count) != 1)
        return false;
    return poll(&(struct pollfd){.fd = descriptors[0], .events = POLLIN}, 1, PATIENCE * 1000) == 1;
}

/* Whether it came to its end. */
static bool handshake(SSL *server, SSL *client)
{
    BIO *server_end, *client_end;
    if (BIO_new_bio_pair(&server_end, 0, &client_end, 0) != 1)
        return false;
    SSL_set_bio(server, server_end, server_end);
    SSL_set_bio(client, client_end, client_end);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    SSL_set_mode(server, SSL_MODE_ASYNC);
    for (int flight = 0; flight < FLIGHTS_MAX; flight++) {
        int of_client = SSL_do_handshake(client);
        int client_error = SSL_get_error(client, of_client);
        int of_server = SSL_do_handshake(server);
        int server_error = SSL_get_error(server, of_server);
        if (of_client == 1 && of_server == 1)
            return true;
        if (server_error == SSL_ERROR_WANT_ASYNC && !wait_for_signature(server))
            return false;
        if (client_error == SSL_ERROR_SSL || server_error == SSL_ERROR_SSL)
            return false;
    }
    return false;
}

static bool serve_with(SSL_CTX *server, SSL_CTX *client)
{
    SSL *server_ssl = SSL_new(server), *client_ssl = SSL_new(client);
    bool good = server_ssl != NULL && client_ssl != NULL && handshake(server_ssl, client_ssl);
    SSL_free(server_ssl);
    SSL_free(client_ssl);
    return good;
}

/* A server whose key is a reference, in an asynchronous handshake. */
static bool serve(OSSL_LIB_CTX *in)
{
    EVP_PKEY *key = key_from_text(in, reference);
    SSL_CTX *server = SSL_CTX_new_ex(in, IMMURE_OPENSSL_PROPERTIES, TLS_server_method());
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    bool good = key != NULL && server != NULL && client != NULL &&
                SSL_CTX_use_certificate(server, certificates[P_256]) == 1 &&
                SSL_CTX_use_PrivateKey(server, key) == 1 && serve_with(server, client);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    EVP_PKEY_free(key);
    return good;
}

/* A program of ours: a key from its public half, and a waiter that blocks. */
static bool sign_blocking(OSSL_LIB_CTX *in)
{
    static const uint8_t message[] = "a message";
    uint8_t signature[IMMURE_SIGNATURE_MAX];
    size_t length = sizeof signature;
    struct immure_blocking *blocking = immure_blocking_unix(immured.path);
    EVP_PKEY *key =
        in != NULL ? immure_openssl_key(in, keys[P_256].spki, keys[P_256].spki_length) : NULL;
    EVP_MD_CTX *signing = EVP_MD_CTX_new();
    struct immure_waiter waiter = {.blocking = blocking, .deadline = clock_now() + NS_PER_S};
    bool good = false;
    if (key != NULL && blocking != NULL && signing != NULL) {
        immure_waiter_enter(&waiter);
        good = EVP_DigestSignInit_ex(signing, NULL, "SHA256", in, NULL, key, NULL) == 1 &&
               EVP_DigestSign(signing, signature, &length, message, sizeof message) == 1;
        immure_waiter_leave();
    }
    EVP_MD_CTX_free(signing);
    EVP_PKEY_free(key);
    immure_blocking_free(blocking);
    return good;
}

static enum end live(size_t failure, bool libcrypto_too)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        signal(faults[i], SIG_DFL); /* cmocka would go on with the next test */
    alarm(PATIENCE);
    /* libcrypto 3.0 crashes if it cannot load a provider for lack of memory. */
    until_failure = libcrypto_too ? 0 : failure;
    OSSL_LIB_CTX *own = immure_openssl_context(), *configured = make_context();
    if (libcrypto_too) {
        until_failure = failure;
        libcrypto_fails = true;
    }
    bool good = own != NULL && sign_blocking(own);
    good &= configured != NULL && serve(configured);
    bool reached = until_failure == 0 && failure > 0;
    until_failure = 0;
    immure_openssl_context_free(own);
    OSSL_LIB_CTX_free(configured);
    return reached ? END_REACHED : good ? END_NOT_REACHED : END_TESTS_FAULT;
}

/* In a process of its own. */
static enum end live_apart(size_t failure, bool libcrypto_too)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit((int)live(failure, libcrypto_too));
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status))
        fail_msg("allocation %zu failed: ended by signal %d", failure, WTERMSIG(status));
    assert_int_not_equal(WEXITSTATUS(status), END_TESTS_FAULT);
    return (enum end)WEXITSTATUS(status);
}

static void test_nothing_fails(void **state)
{
    (void)state;
    assert_int_equal(live_apart(0, false), END_NOT_REACHED);
}

static void test_each_allocation_of_ours_fails_once(void **state)
{
    (void)state;
    size_t failure = 1;
    while (live_apart(failure, false) == END_REACHED)
        failure++;
    print_message("%zu allocations\n", failure - 1);
    assert_true(failure > 10);
}

static void test_each_allocation_fails_once(void **state)
{
    (void)state;
    size_t step = getenv("IMMURE_LONG") != NULL ? 1 : FIRST / LIVES, failure = 1;
    while (failure <= FIRST && live_apart(failure, true) == END_REACHED)
        failure += step;
    print_message("%zu allocations, one in %zu of them\n", failure - 1, step);
    assert_true(failure > 1000);
}

/* immured is a process of its own too, because a process with threads must not fork. */
static pid_t immured_begin(void)
{
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        fake_immured_begin(&immured, keys, KEY_COUNT);
        if (write(ready[1], immured.path, sizeof immured.path) != sizeof immured.path)
            _exit(EXIT_FAILURE);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], immured.path, sizeof immured.path), sizeof immured.path);
    close(ready[0]);
    return child;
}

static pid_t immured_process;

static int set_up(void **state)
{
    fixture_make(state);
    immured_process = immured_begin();
    reference = reference_text(&keys[P_256], immured.path);
    int file = mkstemp(configuration);
    assert_true(file >= 0);
    dprintf(file, "openssl_conf = init\n[init]\nproviders = providers\n[providers]\n"
                  "default = default_section\nimmure = immure_section\n[default_section]\n"
                  "activate = 1\n[immure_section]\nactivate = 1\nasynchronous = yes\n");
    close(file);
    return 0;
}

static int tear_down(void **state)
{
    kill(immured_process, SIGKILL);
    waitpid(immured_process, NULL, 0);
    unlink(immured.path);
    unlink(configuration);
    free(reference);
    return fixture_free(state);
}

int main(void)
{
    if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_fails),
        cmocka_unit_test(test_each_allocation_of_ours_fails_once),
        cmocka_unit_test(test_each_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
