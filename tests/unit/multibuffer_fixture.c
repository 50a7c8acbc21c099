#include "multibuffer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "keyd/driver/multibuffer/config.h"
#include "keyd/sign/kind.h"

#include "arena_fixture.h"

#define MESSAGE_MAX 256

static const struct {
    enum wire_key_type type;
    const char *name;
    unsigned bits;
    const char *curve;
} algorithms[ALGORITHMS] = {[RSA_2048] = {WIRE_KEY_RSA, "RSA", 2048, NULL},
                            [RSA_3072] = {WIRE_KEY_RSA, "RSA", 3072, NULL},
                            [RSA_4096] = {WIRE_KEY_RSA, "RSA", 4096, NULL},
                            [P256] = {WIRE_KEY_EC, "EC", 0, "P-256"},
                            [P384] = {WIRE_KEY_EC, "EC", 0, "P-384"},
                            [ED25519] = {WIRE_KEY_ED25519, "ED25519", 0, NULL}};

static EVP_PKEY *generate(enum algorithm algorithm)
{
    const char *name = algorithms[algorithm].name;
    if (algorithms[algorithm].bits != 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, name, (size_t)algorithms[algorithm].bits);
    return algorithms[algorithm].curve != NULL
               ? EVP_PKEY_Q_keygen(NULL, NULL, name, algorithms[algorithm].curve)
               : EVP_PKEY_Q_keygen(NULL, NULL, name);
}

struct key fixture_key(EVP_PKEY *pair, enum wire_key_type type, size_t index)
{
    assert_non_null(pair);
    static const struct kind kind = {.cost = COST_QUICK}; /* for the trace points */
    struct key key = {.name = "test",
                      .kind = &kind,
                      .location = "here:1",
                      .pair = pair,
                      .type = type,
                      .bits = EVP_PKEY_get_bits(pair),
                      .signature_max = (size_t)EVP_PKEY_get_size(pair),
                      .index = index};
    assert_true(key_copy_public(&key, NULL));
    return key;
}

void fixture_make(struct fixture *fixture)
{
    *fixture = (struct fixture){0};
    arena_make(NULL);
    for (enum algorithm algorithm = 0; algorithm < ALGORITHMS; algorithm++)
        for (size_t i = 0; i < KEYS_EACH; i++)
            fixture->keys[algorithm][i] = fixture_key(
                generate(algorithm), algorithms[algorithm].type, algorithm * KEYS_EACH + i);
}

void fixture_free(struct fixture *fixture)
{
    for (enum algorithm algorithm = 0; algorithm < ALGORITHMS; algorithm++)
        for (size_t i = 0; i < KEYS_EACH; i++)
            key_free_halves(&fixture->keys[algorithm][i]);
}

bool fixture_serves(const struct fixture *fixture, enum algorithm algorithm)
{
    return fixture->multibuffer.width(&fixture->multibuffer, &fixture->keys[algorithm][0]) > 0;
}

bool fixture_open(struct fixture *fixture, const char *library)
{
    struct multibuffer_config config = {.library = (char *)library};
    fixture->multibuffer = driver_multibuffer;
    fixture->multibuffer.settings = &config;
    fixture->drivers[0] = &driver_openssl;
    fixture->drivers[1] = &fixture->multibuffer;
    fixture->opened = fixture->multibuffer.open(&fixture->multibuffer, NULL, fixture->reason,
                                                sizeof fixture->reason);
    if (!fixture->opened)
        return false;
    for (enum algorithm algorithm = 0; algorithm < ALGORITHMS; algorithm++)
        for (size_t i = 0; i < KEYS_EACH && fixture_serves(fixture, algorithm); i++)
            assert_true(fixture->multibuffer.key_prepare(&fixture->multibuffer,
                                                         &fixture->keys[algorithm][i]));
    assert_true(signer_init(&fixture->signer, fixture->drivers));
    return true;
}

void fixture_close(struct fixture *fixture)
{
    if (!fixture->opened)
        return;
    for (enum algorithm algorithm = 0; algorithm < ALGORITHMS; algorithm++)
        for (size_t i = 0; i < KEYS_EACH; i++)
            key_release(&fixture->keys[algorithm][i]);
    signer_release(&fixture->signer);
    fixture->multibuffer.close(&fixture->multibuffer);
    fixture->opened = false;
}

void batch_add(struct batch *batch, const struct key *key, const struct wire_scheme *scheme,
               const void *message, size_t length)
{
    struct job *job = job_new(key, scheme, message, length);
    assert_non_null(job);
    batch->jobs[batch->count++] = job;
}

static const struct wire_scheme *scheme_in_turn(enum wire_key_type type, size_t turn)
{
    for (size_t i = 0;; i = (i + 1) % wire_scheme_count)
        if (wire_schemes[i].key_type == type && turn-- == 0)
            return &wire_schemes[i];
}

void batch_make(struct batch *batch, struct fixture *fixture, enum algorithm algorithm,
                size_t count)
{
    char message[MESSAGE_MAX];
    batch->count = 0;
    for (size_t i = 0; i < count; i++) {
        int length = snprintf(message, sizeof message, "message %zu%*s", i, (int)(17 * i), "");
        batch_add(batch, &fixture->keys[algorithm][i % KEYS_EACH],
                  scheme_in_turn(algorithms[algorithm].type, i), message, (size_t)length);
    }
}

void batch_free(struct batch *batch)
{
    while (batch->count > 0)
        job_free(batch->jobs[--batch->count]);
}

bool signature_good(const struct job *job)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters;
    assert_non_null(context);
    bool good = EVP_DigestVerifyInit_ex(context, &parameters, job->scheme->digest, NULL, NULL,
                                        job->key->pair, NULL) == 1 &&
                (!job->scheme->pss ||
                 (EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) > 0 &&
                  EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) > 0)) &&
                EVP_DigestVerify(context, job->result, job->result_length, job->message,
                                 job->message_length) == 1;
    EVP_MD_CTX_free(context);
    return good;
}
