/*
 * The algorithms of the driver `multibuffer`: each is a row of the table in multibuffer.c and signs
 * up to eight jobs at once in a thread's memory.
 *
 * Lanes without a job repeat the work of one that has a job, and their results are ignored: an
 * empty lane would slow the others down, and an ECDSA nonce must never be used with another digest.
 */
#ifndef KEYD_DRIVER_MULTIBUFFER_LANES_H
#define KEYD_DRIVER_MULTIBUFFER_LANES_H

#include <openssl/types.h>
#include <stdalign.h>

#include "keyd/driver/multibuffer/library.h"
#include "keyd/keys/secret.h"
#include "keyd/sign/job.h"

#define HALVES_MAX (LANES / 2) /* jobs */
#define RSA_BYTES_MAX 512
#define RSA_LIMBS_MAX (RSA_BYTES_MAX / 8)
#define EC_BYTES_MAX 48
#define EC_LIMBS_MAX (EC_BYTES_MAX / 8)
#define EC_FRESH_BYTES 32 /* of randomness in a nonce */
#define ED25519_BYTES 32

/* key->prepared, in secret memory. */
struct lanes_key {
    const struct lanes_algorithm *algorithm;
    struct secret memory; /* the memory of this struct */
    union {
        struct {
            RSA *public;           /* see encoding.h */
            struct halves *halves; /* NULL: not for keys of this size */
            uint64_t p[RSA_LIMBS_MAX / 2], q[RSA_LIMBS_MAX / 2];
            uint64_t dp[RSA_LIMBS_MAX / 2], dq[RSA_LIMBS_MAX / 2], iq[RSA_LIMBS_MAX / 2];
        } rsa;
        uint64_t ec[EC_LIMBS_MAX];
        struct {
            uint8_t private[ED25519_BYTES], public[ED25519_BYTES];
        } ed25519;
    };
};

/* The working memory of a batch, which is wiped after it. */
union lanes_work {
    struct {
        uint8_t encoded[LANES][RSA_BYTES_MAX], signature[LANES][RSA_BYTES_MAX];
        uint64_t base[LANES][RSA_LIMBS_MAX / 2], power[LANES][RSA_LIMBS_MAX / 2]; /* halves */
        alignas(64) uint8_t scratch[112 * 1024];
    } rsa;
    struct {
        uint8_t r[LANES][EC_BYTES_MAX], s[LANES][EC_BYTES_MAX], digest[LANES][EC_BYTES_MAX];
        uint64_t private[LANES][EC_LIMBS_MAX], nonce[LANES][EC_LIMBS_MAX];
        uint64_t x[LANES][EC_LIMBS_MAX], y[LANES][EC_LIMBS_MAX]; /* public points */
        struct {
            uint64_t blind[EC_LIMBS_MAX];
            uint8_t fresh[LANES][EC_FRESH_BYTES];
        } random;
    } ecdsa;
    struct {
        uint8_t r[LANES][ED25519_BYTES], s[LANES][ED25519_BYTES];
    } ed25519;
};

struct lanes_thread {
    const struct multibuffer_library *library;
    struct ecdsa_numbers *ecdsa;
    EVP_MD_CTX *hash;
    EVP_MD *sha256, *sha384, *sha512; /* fetched */
    struct secret memory;             /* the memory of `work` */
    union lanes_work *work;           /* all zero between batches */
};

struct lanes_algorithm {
    const char *name;
    enum wire_key_type type;
    int bits;
    enum multibuffer_number number;

    /* False: it does not support this key; release() is still called. */
    bool (*prepare)(struct lanes_key *lanes, const struct key *key);
    void (*release)(struct lanes_key *lanes); /* NULL: there is nothing but the memory */
    /* Signs 1 to LANES jobs with keys of this algorithm; leaves `work` all zero. */
    void (*sign)(struct lanes_thread *thread, struct job *const *batch, size_t count);
    /* Tests that every lane has the right results. */
    bool (*known_answers)(struct lanes_thread *thread, const struct lanes_algorithm *algorithm);
};

/* Sets key->prepared and key->release. False: the algorithm does not support this key. */
bool lanes_key_prepare(const struct lanes_algorithm *algorithm, struct key *key);

bool rsa_prepare(struct lanes_key *lanes, const struct key *key);
void rsa_release(struct lanes_key *lanes);
void rsa_sign(struct lanes_thread *thread, struct job *const *batch, size_t count);
bool rsa_known_answers(struct lanes_thread *thread, const struct lanes_algorithm *algorithm);
/* The size that the library asks for; 0: it lacks something that such keys need. */
size_t rsa_scratch_size(const struct multibuffer_library *library, int bits);

/* Whether keys of this size can use halves.c: both exponentiations of up to HALVES_MAX jobs in one
 * run. */
bool halves_serve(const struct key *key);
/* False: out of memory. */
bool halves_prepare(struct lanes_key *lanes, const struct key *key);
void halves_release(struct lanes_key *lanes);
/* Computes `signature` from `encoded`; the status has a lane for each job. */
multibuffer_status halves_sign(struct lanes_thread *thread, struct job *const *live, size_t filled);

/* The numbers of ECDSA for one thread. NULL: out of memory. */
struct ecdsa_numbers *ecdsa_numbers_new(void);
void ecdsa_numbers_free(struct ecdsa_numbers *numbers);
bool ecdsa_prepare(struct lanes_key *lanes, const struct key *key);
void ecdsa_sign(struct lanes_thread *thread, struct job *const *batch, size_t count);
bool ecdsa_known_answers(struct lanes_thread *thread, const struct lanes_algorithm *algorithm);

bool ed25519_prepare(struct lanes_key *lanes, const struct key *key);
void ed25519_sign(struct lanes_thread *thread, struct job *const *batch, size_t count);
/* Verifies the signatures of 1 to LANES jobs with the public keys in key->spki. Returns crypto_mb's
 * status. */
multibuffer_status ed25519_verify(const struct multibuffer_library *library,
                                  struct job *const *batch, size_t count);
bool ed25519_known_answers(struct lanes_thread *thread, const struct lanes_algorithm *algorithm);

/* Writes a number of the key as limbs, zero-padded to `bytes`. False: the key lacks the number, or
 * it is longer. */
bool lanes_number_get(const struct key *key, const char *name, uint64_t *limbs, size_t bytes);
#endif
