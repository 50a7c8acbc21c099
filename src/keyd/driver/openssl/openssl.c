/* The driver that is always available: libcrypto, one signature at a time. */
#include <openssl/evp.h>
#include <stdlib.h>

#include "keyd/sign/contexts.h"
#include "keyd/sign/driver.h"
#include "wire/stats.h"

#define WIDTH 8

struct openssl_thread {
    struct contexts *contexts;
    EVP_MD_CTX *whole;
};

static void openssl_thread_free(void *arg)
{
    struct openssl_thread *thread = arg;
    contexts_free(thread->contexts);
    EVP_MD_CTX_free(thread->whole);
    free(thread);
}

static void *openssl_thread_new(const struct driver *driver)
{
    (void)driver;
    struct openssl_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL)
        return NULL;
    thread->contexts = contexts_new(CONTEXTS_SIGN);
    thread->whole = EVP_MD_CTX_new();
    if (thread->contexts != NULL && thread->whole != NULL)
        return thread;
    openssl_thread_free(thread);
    return NULL;
}

/* The contexts for whole messages keep the key of the last call. */
static void openssl_thread_clear(void *arg)
{
    struct openssl_thread *thread = arg;
    contexts_clear(thread->contexts);
    EVP_MD_CTX_reset(thread->whole);
}

/* Ed25519 and ML-DSA sign the whole message: the former hashes it twice (RFC 8032), the latter
 * together with a hash of the key (FIPS 204). */
static bool sign_message(struct openssl_thread *thread, struct job *job)
{
    /* without the reset the context would keep the key of the last call */
    return EVP_MD_CTX_reset(thread->whole) == 1 &&
           EVP_DigestSignInit(thread->whole, NULL, NULL, NULL, job->key->pair) > 0 &&
           EVP_DigestSign(thread->whole, job->result, &job->result_length, job->message,
                          job->message_length) > 0;
}

static bool sign_digest(struct openssl_thread *thread, struct job *job)
{
    EVP_PKEY_CTX *context = contexts_get(thread->contexts, job->key, job->scheme);
    return context != NULL && EVP_PKEY_sign(context, job->result, &job->result_length, job->digest,
                                            job->digest_length) > 0;
}

static void openssl_sign(const struct driver *driver, void *arg, struct job *const *batch,
                         size_t count)
{
    (void)driver;
    for (size_t i = 0; i < count; i++) {
        struct job *job = batch[i];
        job->result_length = job->key->signature_max;
        bool good = job->scheme->digest == NULL ? sign_message(arg, job) : sign_digest(arg, job);
        if (!good)
            job->error = IMMURE_E_SIGNING;
    }
}

/* A batch makes no signature cheaper, but a few cheap ones share one wake-up of the event loop.
 * kind_measured() makes batches of expensive ones smaller. */
static size_t openssl_width(const struct driver *driver, const struct key *key)
{
    (void)driver, (void)key;
    return WIDTH;
}

const struct driver driver_openssl = {.name = WIRE_NAME_OPENSSL,
                                      .number = WIRE_BACKEND_OPENSSL,
                                      .figure = WIRE_STAT_SIGNATURES_OPENSSL_TOTAL,
                                      .fallback = true, /* a fault may be transient */
                                      .width = openssl_width,
                                      .thread_new = openssl_thread_new,
                                      .thread_free = openssl_thread_free,
                                      .thread_clear = openssl_thread_clear,
                                      .sign = openssl_sign};
