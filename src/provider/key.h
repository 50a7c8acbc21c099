/*
 * A key of the provider: its id in immured, and its public half in the provider's own library
 * context, which answers OpenSSL's questions about the key. It is immutable once filled, and
 * reference-counted; any thread may use it.
 */
#ifndef PROVIDER_KEY_H
#define PROVIDER_KEY_H

#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "immure/client.h"
#include "provider/digest.h"
#include "provider/instance.h"

/* The import parameter that makes a key from a whole SubjectPublicKeyInfo (DER, octet string). */
#define KEY_PARAM_SPKI "immure-spki"

struct key_type {
    const char *name;      /* of the key management */
    const char *signature; /* of the signature algorithm, by which TLS fetches it */
    const char *cipher;    /* of the asymmetric cipher; NULL: none */
};

enum key_type_index {
    KEY_RSA,
    KEY_RSA_PSS,
    KEY_EC,
    KEY_ED25519,
    KEY_MLDSA44,
    KEY_MLDSA65,
    KEY_MLDSA87
};

extern const struct key_type key_types[];
extern const size_t key_type_count;

struct provider_key {
    struct provider *provider;
    atomic_uint holders;
    enum key_type_index type;
    EVP_PKEY *public;         /* NULL until it is filled */
    struct pss_limits limits; /* KEY_RSA_PSS */
    uint8_t id[IMMURE_KEY_ID_SIZE];
    struct service *service; /* its immured; NULL: no socket was given */
};

/* An empty key with one holder. NULL: out of memory. */
struct provider_key *key_new(struct provider *provider, enum key_type_index type);
struct provider_key *key_share(struct provider_key *key);
void key_release(struct provider_key *key);

/* Fill the key. False, with the reason on the error queue, if it is not a public key of its
 * type. */
bool key_fill_spki(struct provider_key *key, const uint8_t *spki, size_t length);
/* From OpenSSL's own public key parameters of the type. */
bool key_fill_params(struct provider_key *key, const OSSL_PARAM params[]);

/* Its index in key_types, or key_type_count if it is of another type. */
size_t key_type_of(const EVP_PKEY *public);

/*
 * Makes a key whose immured listens on `socket`, and passes it to OpenSSL by reference through the
 * callback of a decoder or a store. Takes ownership of `public`. Returns the callback's result.
 */
int key_hand_over(struct provider *provider, EVP_PKEY *public, const uint8_t *spki, size_t length,
                  const char *socket, OSSL_CALLBACK *callback, void *arg);

#endif
