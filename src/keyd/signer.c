#include "keyd/signer.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/probe.h"
#include "keyd/contexts.h"

#define WARM_UP_KEYS 256 /* at a time */

struct signer {
    pthread_t thread;
    sem_t running;
    struct queue *queue;
    const struct backend *backend;
    struct queue_seat seat;
    void *state;               /* the backend's */
    struct contexts *verifier; /* of RSA */
    EVP_MD_CTX *hash;
    EVP_MD *const *digests;
};

struct signers {
    struct queue *queue;
    EVP_MD **digests; /* fetched, by place in wire_schemes; NULL where there is none */
    size_t started, count;
    struct signer signers[];
};

static void signer_hash(struct signer *signer, struct job *job)
{
    const EVP_MD *digest = signer->digests[job->scheme - wire_schemes];
    if (digest == NULL)
        return;
    unsigned length = 0;
    if (EVP_DigestInit_ex2(signer->hash, digest, NULL) != 1 ||
        EVP_DigestUpdate(signer->hash, job->message, job->message_length) != 1 ||
        EVP_DigestFinal_ex(signer->hash, job->digest, &length) != 1)
        job->error = IMMURE_E_SIGNING;
    job->digest_length = length;
}

static void signer_verify(struct signer *signer, struct job *job)
{
    if (job->error != IMMURE_OK || job->key->type != WIRE_KEY_RSA)
        return;
    EVP_PKEY_CTX *context = contexts_get(signer->verifier, job->key, job->scheme);
    if (context == NULL || job->signature_length != job->key->signature_max ||
        EVP_PKEY_verify(context, job->signature, job->signature_length, job->digest,
                        job->digest_length) != 1)
        job->error = IMMURE_E_SIGNING;
}

/* What was computed and is not released must not be found later either. */
static void signer_withhold(struct job *job)
{
    OPENSSL_cleanse(job->signature, job->key->signature_max);
    job->signature_length = 0;
    log_error("%s: key \"%s\": a %s signature failed or did not verify; it is withheld",
              job->key->location, job->key->name, job->scheme->name);
    ERR_clear_error();
}

static void *signer_run(void *arg)
{
    struct signer *signer = arg;
    sem_post(&signer->running);
    struct job *batch[QUEUE_BATCH_MAX];
    for (size_t count; (count = queue_take(signer->queue, &signer->seat, batch)) > 0;) {
        uint64_t begun = clock_now();
        PROBE(immured, batch_taken, count, batch[0]->key->cost, batch[0]->queue_ns);
        for (size_t i = 0; i < count; i++)
            signer_hash(signer, batch[i]);
        signer->backend->sign(signer->state, batch, count);
        for (size_t i = 0; i < count; i++) {
            signer_verify(signer, batch[i]);
            if (batch[i]->error != IMMURE_OK)
                signer_withhold(batch[i]);
        }
        uint64_t took = clock_now() - begun;
        PROBE(immured, batch_signed, count, batch[0]->key->cost, took);
        for (size_t i = 0; i < count; i++)
            batch[i]->sign_ns = took;
        queue_finish(signer->queue, batch, count, took);
    }
    return NULL;
}

/* Returns when the thread has made the system calls that threads begin with: the doors may close.
 */
static bool signer_start(struct signer *signer)
{
    sem_init(&signer->running, 0, 0);
    signer->state = signer->backend->thread_new();
    signer->verifier = contexts_new(CONTEXTS_VERIFY);
    signer->hash = EVP_MD_CTX_new();
    int reason = ENOMEM;
    if (signer->state != NULL && signer->verifier != NULL && signer->hash != NULL)
        reason = pthread_create(&signer->thread, NULL, signer_run, signer);
    if (reason != 0) {
        log_error("signer thread: %s", strerror(reason));
        return false;
    }
    while (sem_wait(&signer->running) != 0 && errno == EINTR)
        continue;
    return true;
}

static void signer_release(struct signer *signer)
{
    if (signer->state != NULL)
        signer->backend->thread_free(signer->state);
    contexts_free(signer->verifier);
    EVP_MD_CTX_free(signer->hash);
}

static bool fetch_digests(struct signers *signers)
{
    signers->digests = calloc(wire_scheme_count, sizeof(EVP_MD *));
    for (size_t i = 0; signers->digests != NULL && i < wire_scheme_count; i++) {
        const char *name = wire_schemes[i].digest;
        if (name != NULL && (signers->digests[i] = EVP_MD_fetch(NULL, name, NULL)) == NULL)
            return false;
    }
    return signers->digests != NULL;
}

struct signers *signers_start(struct queue *queue, const struct backend *backend, unsigned threads)
{
    size_t count = (size_t)threads + 1;
    struct signers *signers = calloc(1, sizeof *signers + count * sizeof signers->signers[0]);
    if (signers == NULL) {
        log_error("signer threads: out of memory");
        return NULL;
    }
    signers->queue = queue;
    if (!fetch_digests(signers)) {
        log_error("signer threads: libcrypto lacks a digest");
        goto failed;
    }
    signers->count = count;
    /* otherwise glibc reads the number of CPUs from a file, when some thread makes the ninth arena
     */
    mallopt(M_ARENA_MAX, (int)count + 1);
    for (size_t i = 0; i < count; i++) {
        struct signer *signer = &signers->signers[i];
        signer->queue = queue;
        signer->backend = backend;
        signer->digests = signers->digests;
        queue_seat_init(&signer->seat, i == threads);
        if (!signer_start(signer))
            goto failed;
        signers->started++;
    }
    return signers;
failed:
    signers_stop(signers);
    return NULL;
}

void signers_stop(struct signers *signers)
{
    if (signers == NULL)
        return;
    queue_close(signers->queue);
    for (size_t i = 0; i < signers->started; i++)
        pthread_join(signers->signers[i].thread, NULL);
    for (size_t i = 0; i < signers->count; i++)
        signer_release(&signers->signers[i]);
    for (size_t i = 0; signers->digests != NULL && i < wire_scheme_count; i++)
        EVP_MD_free(signers->digests[i]);
    free(signers->digests);
    free(signers);
}

/* A TLS 1.3 server's message with an all-zero transcript hash. */
#define WARM_UP_SIZE 130
static const uint8_t warm_up_message[WARM_UP_SIZE] = "                                "
                                                     "                                "
                                                     "TLS 1.3, server CertificateVerify";

/* One signature for each padding that the key has. Returns how many. */
static size_t warm_up_submit(struct queue *queue, const struct key *key, bool *good)
{
    bool begun[2] = {false, false};
    size_t submitted = 0;
    for (size_t i = 0; i < key->scheme_count; i++) {
        const struct wire_scheme *scheme = wire_scheme_find(key->schemes[i]);
        if (begun[scheme->pss])
            continue;
        begun[scheme->pss] = true;
        struct job *job = job_new(key, scheme, warm_up_message, sizeof warm_up_message);
        if (job != NULL && queue_submit(queue, job, clock_now())) {
            submitted++;
        } else {
            job_free(job);
            log_error("%s: key \"%s\": out of memory", key->location, key->name);
            *good = false;
        }
    }
    return submitted;
}

/* Signers verify RSA only; here each key is verified, and in libcrypto's simplest way. */
static bool warm_up_verify(const struct job *job)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters;
    bool good =
        context != NULL && job->error == IMMURE_OK &&
        EVP_DigestVerifyInit_ex(context, &parameters, job->scheme->digest, NULL, NULL,
                                job->key->pair, NULL) == 1 &&
        (!job->scheme->pss || EVP_PKEY_CTX_ctrl_str(parameters, "rsa_padding_mode", "pss") > 0) &&
        EVP_DigestVerify(context, job->signature, job->signature_length, job->message,
                         job->message_length) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}

/* Takes back what is done; returns how many. */
static size_t warm_up_collect(struct queue *queue, bool *good)
{
    struct pollfd wake = {.fd = queue->wake, .events = POLLIN};
    poll(&wake, 1, -1);
    struct list done;
    list_init(&done);
    queue_collect(queue, &done);
    size_t count = 0;
    for (struct list *node; (node = list_take(&done)) != NULL; count++) {
        struct job *job = list_entry(node, struct job, queue_node);
        if (!warm_up_verify(job)) {
            log_error("%s: key \"%s\": does not make good signatures: the key is damaged",
                      job->key->location, job->key->name);
            *good = false;
        }
        job_free(job);
    }
    return count;
}

bool signers_warm_up(struct queue *queue, const struct keyring *keyring)
{
    bool good = true;
    for (size_t first = 0; first < keyring->count; first += WARM_UP_KEYS) {
        size_t submitted = 0;
        for (size_t i = first; i < keyring->count && i < first + WARM_UP_KEYS; i++)
            submitted += warm_up_submit(queue, keyring->keys[i], &good);
        while (submitted > 0)
            submitted -= warm_up_collect(queue, &good);
    }
    return good;
}
