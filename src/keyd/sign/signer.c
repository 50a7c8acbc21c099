#include "keyd/sign/signer.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/probe.h"
#include "keyd/sign/contexts.h"
#include "keyd/sign/decrypt.h"

static bool make_states(struct signer *signer)
{
    size_t count = 0;
    while (signer->drivers[count] != NULL)
        count++;
    signer->states = calloc(count + 1, sizeof(void *));
    for (size_t i = 0; signer->states != NULL && i < count; i++) {
        const struct driver *driver = signer->drivers[i];
        if (driver->thread_new != NULL && (signer->states[i] = driver->thread_new(driver)) == NULL)
            return false;
    }
    return signer->states != NULL;
}

static bool fetch_digests(struct signer *signer)
{
    signer->digests = calloc(wire_scheme_count, sizeof(EVP_MD *));
    for (size_t i = 0; signer->digests != NULL && i < wire_scheme_count; i++) {
        const char *name = wire_schemes[i].digest;
        if (name != NULL && (signer->digests[i] = EVP_MD_fetch(NULL, name, NULL)) == NULL)
            return false;
    }
    return signer->digests != NULL;
}

bool signer_init(struct signer *signer, const struct driver *const *drivers)
{
    *signer = (struct signer){.drivers = drivers,
                              .verifier = contexts_new(CONTEXTS_VERIFY),
                              .hash = EVP_MD_CTX_new(),
                              .whole = EVP_MD_CTX_new()};
    if (signer->verifier != NULL && signer->hash != NULL && signer->whole != NULL &&
        make_states(signer) && fetch_digests(signer))
        return true;
    log_error("signer: out of memory, or libcrypto lacks a digest");
    return false;
}

void signer_release(struct signer *signer)
{
    for (size_t i = 0; signer->states != NULL && signer->drivers[i] != NULL; i++)
        if (signer->states[i] != NULL)
            signer->drivers[i]->thread_free(signer->states[i]);
    for (size_t i = 0; signer->digests != NULL && i < wire_scheme_count; i++)
        EVP_MD_free(signer->digests[i]);
    free(signer->states);
    free(signer->digests);
    opener_release(&signer->opener);
    contexts_free(signer->verifier);
    EVP_MD_CTX_free(signer->hash);
    EVP_MD_CTX_free(signer->whole);
}

void signer_clear(struct signer *signer)
{
    contexts_clear(signer->verifier);
    EVP_MD_CTX_reset(signer->whole);
    for (size_t i = 0; signer->drivers[i] != NULL; i++)
        if (signer->drivers[i]->thread_clear != NULL)
            signer->drivers[i]->thread_clear(signer->states[i]);
}

/* Hashes the job's message. False: libcrypto failed. */
static bool hash(struct signer *signer, const struct job *job, uint8_t digest[JOB_DIGEST_MAX],
                 size_t *length)
{
    unsigned written = 0;
    bool good =
        EVP_DigestInit_ex2(signer->hash, signer->digests[job->scheme - wire_schemes], NULL) == 1 &&
        EVP_DigestUpdate(signer->hash, job->message, job->message_length) == 1 &&
        EVP_DigestFinal_ex(signer->hash, digest, &written) == 1;
    *length = written;
    return good;
}

/* Whether the digest that was signed is that of the message: a fault may have hit it. */
static bool digest_good(struct signer *signer, const struct job *job)
{
    uint8_t again[JOB_DIGEST_MAX];
    size_t length;
    return hash(signer, job, again, &length) && length == job->digest_length &&
           memcmp(again, job->digest, length) == 0;
}

static bool verify_digest(struct signer *signer, const struct job *job)
{
    EVP_PKEY_CTX *context = contexts_get(signer->verifier, job->key, job->scheme);
    return context != NULL && EVP_PKEY_verify(context, job->result, job->result_length, job->digest,
                                              job->digest_length) == 1;
}

static bool verify_message(struct signer *signer, const struct job *job)
{
    /* without the reset the context would keep the key of the last call */
    return EVP_MD_CTX_reset(signer->whole) == 1 &&
           EVP_DigestVerifyInit(signer->whole, NULL, NULL, NULL, job->key->public) == 1 &&
           EVP_DigestVerify(signer->whole, job->result, job->result_length, job->message,
                            job->message_length) == 1;
}

static bool length_good(const struct job *job)
{
    bool exact = job->key->type == WIRE_KEY_RSA || job->key->type == WIRE_KEY_RSA_PSS;
    return exact ? job->result_length == job->key->signature_max
                 : job->result_length > 0 && job->result_length <= job->key->signature_max;
}

static bool may_leave(struct signer *signer, const struct job *job)
{
    if (!length_good(job))
        return false;
    if (job->key->unverified)
        return true;
    if (job->scheme->digest == NULL)
        return job->verified || verify_message(signer, job);
    return digest_good(signer, job) && (job->verified || verify_digest(signer, job));
}

static void sign_and_verify(struct signer *signer, const struct driver *driver,
                            struct job *const *batch, size_t count)
{
    size_t place = 0;
    while (signer->drivers[place] != driver)
        place++;
    for (size_t i = 0; i < count; i++) {
        batch[i]->driver = driver;
        batch[i]->verified = false;
    }
    driver->sign(driver, signer->states[place], batch, count);
    for (size_t i = 0; i < count; i++)
        if (batch[i]->error == IMMURE_OK && !may_leave(signer, batch[i]))
            batch[i]->error = IMMURE_E_SIGNING;
}

/* Wipes a result that is not released, so that it cannot be found later. */
static void withhold(struct job *job, const char *consequence)
{
    OPENSSL_cleanse(job->result, job->key->signature_max);
    job->result_length = 0;
    if (job->error != IMMURE_E_DEVICE) /* the loss of the device was logged */
        log_error("%s: key \"%s\": a %s signature by %s failed or did not verify; it is %s",
                  job->key->location, job->key->name, job->scheme->name, job->driver->name,
                  consequence);
    ERR_clear_error();
}

static void sign_again(struct signer *signer, struct job *job)
{
    withhold(job, "made again by libcrypto");
    job->error = IMMURE_OK;
    job->signed_again = true;
    sign_and_verify(signer, signer->drivers[0], &job, 1);
}

/* The device is away, which was logged; libcrypto signs instead, as no signature was faulty. */
static void sign_in_its_place(struct signer *signer, struct job *job)
{
    job->error = IMMURE_OK;
    sign_and_verify(signer, signer->drivers[0], &job, 1);
}

/* Decryptions are rare, and only libcrypto makes them. The other jobs go to `left`. */
static size_t decrypt_apart(const struct signer *signer, struct job *const *batch, size_t count,
                            struct job **left)
{
    size_t signatures = 0;
    for (size_t i = 0; i < count; i++) {
        if (batch[i]->operation == JOB_SIGN) {
            left[signatures++] = batch[i];
            continue;
        }
        batch[i]->driver = signer->drivers[0];
        decrypt_run(batch[i]);
    }
    return signatures;
}

static void sign_checked(struct signer *signer, const struct driver *driver,
                         struct job *const *batch, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (batch[i]->scheme->digest != NULL &&
            !hash(signer, batch[i], batch[i]->digest, &batch[i]->digest_length))
            batch[i]->error = IMMURE_E_SIGNING;
    sign_and_verify(signer, driver, batch, count);
    for (size_t i = 0; i < count; i++) {
        if (batch[i]->error == IMMURE_E_DEVICE && !batch[i]->key->in_device)
            sign_in_its_place(signer, batch[i]);
        if (batch[i]->error != IMMURE_OK && driver->fallback && !batch[i]->key->in_device)
            sign_again(signer, batch[i]);
        if (batch[i]->error != IMMURE_OK)
            withhold(batch[i], "withheld");
    }
}

/* Gives the jobs complete keys for as long as they are signed. Those that get none fail; the others
 * move to the front. */
static size_t open_keys(struct signer *signer, struct job **batch, size_t count)
{
    static const enum immure_error errors[] = {
        [OPENER_DAMAGED] = IMMURE_E_SIGNING, [OPENER_NO_MEMORY] = IMMURE_E_BUSY};
    size_t opened = 0;
    for (size_t i = 0; i < count; i++) {
        enum opener_result result = opener_open(&signer->opener, batch[i]->key, &batch[i]->key);
        if (result == OPENER_GOOD)
            batch[opened++] = batch[i];
        else
            batch[i]->error = errors[result];
    }
    return opened;
}

/* Of other keys the driver has prepared all, or it is not a driver of their kind. */
static bool is_prepared(const struct driver *driver, const struct key *key)
{
    return !key->borrowed || driver->key_prepare == NULL || key->prepared != NULL;
}

/* With a compact key that the driver could not prepare, libcrypto signs. */
static size_t sign_unprepared(struct signer *signer, const struct driver *driver,
                              struct job **batch, size_t count)
{
    size_t left = 0;
    for (size_t i = 0; i < count; i++)
        if (is_prepared(driver, batch[i]->key))
            batch[left++] = batch[i];
        else
            sign_checked(signer, signer->drivers[0], &batch[i], 1);
    return left;
}

uint64_t signer_sign_by(struct signer *signer, const struct driver *driver,
                        struct job *const *batch, size_t count)
{
    uint64_t begun = clock_now();
    PROBE(immured, batch_taken, count, batch[0]->key->kind->cost, batch[0]->queue_ns);
    struct job *signatures[DRIVER_BATCH_MAX];
    const struct key *asked[DRIVER_BATCH_MAX];
    for (size_t i = 0; i < count; i++)
        asked[i] = batch[i]->key;
    size_t left = decrypt_apart(signer, batch, count, signatures);
    left = open_keys(signer, signatures, left);
    left = sign_unprepared(signer, driver, signatures, left);
    if (left > 0)
        sign_checked(signer, driver, signatures, left);
    for (size_t i = 0; i < count; i++)
        batch[i]->key = asked[i];
    uint64_t took = clock_now() - begun;
    PROBE(immured, batch_signed, count, batch[0]->key->kind->cost, took);
    for (size_t i = 0; i < count; i++)
        batch[i]->sign_ns = took;
    return took;
}

uint64_t signer_sign(struct signer *signer, struct job *const *batch, size_t count)
{
    return signer_sign_by(signer, kind_driver(batch[0]->key->kind, count), batch, count);
}
