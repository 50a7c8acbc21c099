/*
 * An OpenSSL engine that signs with RSA and EC keys as libcrypto does, but late, wrongly or not at
 * all, as a test tells it. Within an ASYNC job it pauses; elsewhere it sleeps.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "faulty_engine.h"

#include <fcntl.h>
#include <openssl/async.h>
#include <openssl/ec.h>
#include <openssl/engine.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000L
#define TICK_MS 5 /* how often a request looks whether it is time */

static struct control *control;
static RSA_METHOD *rsa;
static EC_KEY_METHOD *ec;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / NS_PER_MS;
}

static void close_timer(ASYNC_WAIT_CTX *context, const void *key, OSSL_ASYNC_FD timer, void *data)
{
    (void)context, (void)key, (void)data;
    close(timer);
}

/* A timer that makes the job's descriptor readable again and again. */
static void offer_descriptor(ASYNC_JOB *job)
{
    ASYNC_WAIT_CTX *context = ASYNC_get_wait_ctx(job);
    int timer;
    void *data;
    if (ASYNC_WAIT_CTX_get_fd(context, control, &timer, &data) == 1)
        return;
    const struct itimerspec tick = {{0, TICK_MS * NS_PER_MS}, {0, TICK_MS * NS_PER_MS}};
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    timerfd_settime(timer, 0, &tick, NULL);
    ASYNC_WAIT_CTX_set_wait_fd(context, control, timer, NULL, close_timer);
}

static void wait_a_little(void)
{
    ASYNC_JOB *job = ASYNC_get_current_job();
    if (job == NULL) {
        clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = TICK_MS * NS_PER_MS},
                        NULL);
        return;
    }
    if (control->descriptor)
        offer_descriptor(job);
    ASYNC_pause_job();
}

static bool fault_take(void)
{
    uint32_t left = control->faults;
    while (left > 0)
        if (atomic_compare_exchange_weak(&control->faults, &left, left - 1))
            return true;
    return false;
}

/* The result's length, or 0: there shall be none. */
static unsigned spoil(unsigned char *result, unsigned length)
{
    int64_t due = now_ms() + control->delay;
    uint32_t flying = ++control->in_flight;
    control->signatures++;
    if (flying > control->most_in_flight)
        control->most_in_flight = flying;
    while (control->hangs || now_ms() < due)
        wait_a_little();
    control->in_flight--;
    if (!fault_take())
        return length;
    if (control->fault == FAULT_RESULT)
        result[length - 1] ^= 1;
    return control->fault == FAULT_FAILURE  ? 0
           : control->fault == FAULT_LENGTH ? length - 1
                                            : length;
}

static int rsa_private_encrypt(int length, const unsigned char *from, unsigned char *to, RSA *key,
                               int padding)
{
    int done = RSA_meth_get_priv_enc(RSA_PKCS1_OpenSSL())(length, from, to, key, padding);
    if (done <= 0)
        return done;
    unsigned left = spoil(to, (unsigned)done);
    return left > 0 ? (int)left : -1;
}

static int ec_sign(int type, const unsigned char *digest, int digest_length,
                   unsigned char *signature, unsigned *length, const BIGNUM *inverse,
                   const BIGNUM *r, EC_KEY *key)
{
    int (*sign)(int, const unsigned char *, int, unsigned char *, unsigned *, const BIGNUM *,
                const BIGNUM *, EC_KEY *);
    EC_KEY_METHOD_get_sign(EC_KEY_OpenSSL(), &sign, NULL, NULL);
    if (sign(type, digest, digest_length, signature, length, inverse, r, key) != 1)
        return 0;
    *length = spoil(signature, *length);
    return *length > 0;
}

static struct control *map_control(void)
{
    const char *path = getenv("IMMURE_FAULTY_ENGINE");
    int file = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *memory =
        file >= 0 ? mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
                  : MAP_FAILED;
    if (file >= 0)
        close(file);
    return memory != MAP_FAILED ? memory : NULL;
}

static int destroy(ENGINE *engine)
{
    (void)engine;
    RSA_meth_free(rsa);
    EC_KEY_METHOD_free(ec);
    return 1;
}

static void *wait_for_ever(void *arg)
{
    for (;;)
        pause();
    return arg;
}

/* As many as IMMURE_FAULTY_THREADS says, which live as long as the process. */
static bool start_threads(void)
{
    const char *count = getenv("IMMURE_FAULTY_THREADS");
    pthread_t thread;
    for (int i = count != NULL ? atoi(count) : 0; i > 0; i--)
        if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0 || pthread_detach(thread) != 0)
            return false;
    return true;
}

static int faulty_bind(ENGINE *engine, const char *id)
{
    (void)id;
    if (!start_threads())
        return 0;
    control = map_control();
    rsa = RSA_meth_dup(RSA_PKCS1_OpenSSL());
    ec = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
    if (control == NULL || rsa == NULL || ec == NULL)
        return 0;
    int (*setup)(EC_KEY *, BN_CTX *, BIGNUM **, BIGNUM **);
    ECDSA_SIG *(*sign_sig)(const unsigned char *, int, const BIGNUM *, const BIGNUM *, EC_KEY *);
    EC_KEY_METHOD_get_sign(EC_KEY_OpenSSL(), NULL, &setup, &sign_sig);
    EC_KEY_METHOD_set_sign(ec, ec_sign, setup, sign_sig);
    return RSA_meth_set_priv_enc(rsa, rsa_private_encrypt) && ENGINE_set_id(engine, "faulty") &&
           ENGINE_set_name(engine, "signs badly, for tests") &&
           ENGINE_set_destroy_function(engine, destroy) && ENGINE_set_RSA(engine, rsa) &&
           ENGINE_set_EC(engine, ec);
}

IMPLEMENT_DYNAMIC_BIND_FN(faulty_bind)
IMPLEMENT_DYNAMIC_CHECK_FN()
