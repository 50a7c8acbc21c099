/*
 * A key of the provider: its name in immured, and its public half in the provider's own library
 * context, which answers what OpenSSL wants to know of it. Never changes once it is filled; shared
 * by count, any thread.
 */
#ifndef PROVIDER_KEY_H
#define PROVIDER_KEY_H

#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "immure/client.h"
#include "provider/provider.h"

/* The import parameter that makes a key from a whole SubjectPublicKeyInfo (DER, octet string). */
#define KEY_PARAM_SPKI "immure-spki"

struct key_type {
    const char *name;      /* of the key management */
    const char *signature; /* of the signature algorithm, as TLS asks for it */
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

enum digest { DIGEST_NONE, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512, DIGEST_OTHER };

/* What a key of type RSA-PSS may be used with (RFC 4055, section 3.1). */
struct pss_limits {
    enum digest digest; /* of the message and of the mask; DIGEST_NONE: the key is not restricted */
    int salt_least;     /* bytes */
};

extern const struct key_type key_types[];
extern const size_t key_type_count;

struct key {
    struct provider *provider;
    atomic_uint holders;
    enum key_type_index type;
    EVP_PKEY *public;         /* NULL until it is filled */
    struct pss_limits limits; /* KEY_RSA_PSS */
    uint8_t id[IMMURE_KEY_ID_SIZE];
    struct service *service; /* its immured; NULL: nobody said which */
};

/* Empty, with one holder. NULL on lack of memory. */
struct key *key_new(struct provider *provider, enum key_type_index type);
struct key *key_share(struct key *key);
void key_release(struct key *key);

/* Fill it; false (and the reason is on the error queue) if that is no public key of its type. */
bool key_fill_spki(struct key *key, const uint8_t *spki, size_t length);
/* From OpenSSL's own public key parameters of the type. */
bool key_fill_params(struct key *key, const OSSL_PARAM params[]);

/* The public key that is all of these bytes, in the provider's own library context; NULL: none. */
EVP_PKEY *key_parse_spki(const struct provider *provider, const uint8_t *spki, size_t length);
/* Its place in key_types; key_type_count: another type. */
size_t key_type_of(const EVP_PKEY *public);

/*
 * A filled key whose immured listens on `socket`, handed to OpenSSL as a decoder or a store does:
 * through the callback, by reference. Takes `public` over. Returns what the callback returned.
 */
int key_hand_over(struct provider *provider, EVP_PKEY *public, const uint8_t *spki, size_t length,
                  const char *socket, OSSL_CALLBACK *callback, void *arg);

#endif
