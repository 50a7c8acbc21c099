/*
 * A private key: RSA or RSA-PSS of 2048 to 8192 bits, EC on P-256, P-384 or P-521, Ed25519, or,
 * where libcrypto has it, ML-DSA. It is read once at the start and never changed afterwards, so
 * signer threads share it without a lock.
 */
#ifndef KEYD_KEYS_KEY_H
#define KEYD_KEYS_KEY_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keyd/rules/allow.h"
#include "keyd/rules/policy.h"
#include "keyd/rules/rate.h"
#include "wire/limits.h"
#include "wire/scheme.h"

struct files;
struct kind;
struct der_reader;
struct pem_reader;

/* A key as the operator configures it. */
struct key_config {
    char *name;
    char *location; /* "immured.conf:7" */
    char *file;     /* PEM; NULL: the key is in a device, and `uri` names it */
    char *uri;
    char *pass_phrase_file; /* its first line is the pass phrase; NULL: not encrypted */
    char *driver;           /* NULL: the general setting */
    enum policy policy;
    bool every_group; /* allow all groups of TLS 1.2, not only the common ones */
    bool decrypt;     /* TLS's RSA key exchange */
    struct access_config allow;
    struct rate rate; /* of each client */
};

struct key {
    uint8_t id[WIRE_KEY_ID_SIZE]; /* SHA-256 of spki */
    char *name;
    char *location; /* where it is configured: "immured.conf:7" */
    enum policy policy;
    bool every_group;   /* allow all groups of TLS 1.2, not only the common ones */
    bool decrypt;       /* TLS's RSA key exchange, too */
    struct allow allow; /* who may use it; not given: the general list applies */
    struct rate rate;   /* of each client */

    EVP_PKEY *pair; /* only the public half if the key is in a device */
    /* Verifies signatures before they are released. Read from `spki`, so that no private operation
     * touches it. */
    EVP_PKEY *public;
    bool unverified; /* signatures are released without verification (`verify`) */
    enum wire_key_type type;
    int bits;
    const char *group;    /* OpenSSL's name of the curve ("P-256"); NULL if it has none */
    size_t signature_max; /* bytes; for RSA exactly the length of every signature */

    uint8_t *spki; /* DER SubjectPublicKeyInfo; libcrypto's memory */
    size_t spki_length;
    uint16_t schemes[WIRE_SCHEMES_MAX];
    size_t scheme_count;
    size_t index;  /* in the keyring, or in its group */
    size_t bucket; /* of its rate, among those of an account */

    const struct kind *kind; /* the keys that share its line in the queue; see kinds_add_key() */
    bool in_device;          /* and nowhere else */
    bool borrowed;           /* its texts and its list are another's */
    bool on_demand;          /* part of a struct key_use, without halves (keyd/keys/compact.h) */
    void *prepared;          /* the driver's own form of the key; NULL: it needs none */
    void (*release)(struct key *key); /* frees `prepared` */
};

/* A device that holds keys that never leave it. `state` belongs to its driver. */
struct key_device {
    /* Finds the key that `uri` names, and reads what it needs from `files`: sets key->pair to the
     * public half, and key->prepared and key->release. False: one line in `reason`. */
    bool (*find)(void *state, struct key *key, const char *uri, const struct files *files,
                 char *reason, size_t size);
    /* Tests a key that was found and is complete: keeps only the schemes that the device signs.
     * False: there is none; one line in `reason`. */
    bool (*test)(void *state, struct key *key, char *reason, size_t size);
};

struct key_source {
    const struct key_config *config;
    const struct files *files;       /* the files that it names */
    struct pem_reader *reader;       /* of PEM files */
    const struct key_device *device; /* the device that holds or uses it; NULL: none */
    void *device_state;
    bool unverified; /* ECDSA signatures of libcrypto and of crypto_mb */
};

/* NULL with one line in `error` (`size` bytes). */
struct key *key_load(const struct key_source *source, char *error, size_t size);
void key_free(struct key *key);

/* Sets what follows from the type and the size: group, signature_max and schemes. */
void key_describe(struct key *key, enum wire_key_type type, int bits);
/* That DER is a good key: its halves agree, and the public one has the id that it should have. */
struct key_proof {
    uint8_t digest[32]; /* SHA-256 of the DER */
    size_t spki_length;
    uint8_t spki[]; /* of the public half */
};

/* Makes a complete key from DER. It is `like` a key that key_describe() has filled, has the same
 * id, and borrows its texts. With a proof (NULL: none yet) that takes a quarter of the time, and
 * only the proof's DER is taken. NULL with one line in `error`, or an empty line: memory was
 * short. */
struct key *key_decode(const struct key *like, struct der_reader *reader, const uint8_t *der,
                       size_t length, const struct key_proof *proof, char *error, size_t size);
/* The proof of a key that was decoded from this DER, for free(). NULL: out of memory. */
struct key_proof *key_prove(const struct key *key, const uint8_t *der, size_t length);

/* The directive in which two configurations of the same key differ, of those that say what it signs
 * and for whom; NULL: they agree. */
const char *key_difference(const struct key *a, const struct key *b);

/* Frees what a driver has prepared; part of key_free(). */
void key_release(struct key *key);
/* Sets spki and public from the pair. `reader` saves time; NULL: there is none. False: libcrypto
 * cannot. */
bool key_copy_public(struct key *key, struct der_reader *reader);
/* Frees the pair, spki and public; part of key_free(). */
void key_free_halves(struct key *key);

bool key_can_sign(const struct key *key, uint16_t scheme);

#endif
