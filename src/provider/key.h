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
    const char *name;
    const char *signature; /* the signature algorithm's name, as TLS asks for it */
};

enum key_type_index { KEY_RSA, KEY_EC, KEY_ED25519 };

extern const struct key_type key_types[];
extern const size_t key_type_count;

struct key {
    struct provider *provider;
    atomic_uint holders;
    enum key_type_index type;
    EVP_PKEY *public; /* NULL until it is filled */
    uint8_t id[IMMURE_KEY_ID_SIZE];
};

/* Empty, with one holder. NULL on lack of memory. */
struct key *key_new(struct provider *provider, enum key_type_index type);
struct key *key_share(struct key *key);
void key_release(struct key *key);

/* Fill it; false (and the reason is on the error queue) if that is no public key of its type. */
bool key_fill_spki(struct key *key, const uint8_t *spki, size_t length);
/* From OpenSSL's own public key parameters of the type; private ones are passed over. */
bool key_fill_params(struct key *key, const OSSL_PARAM params[]);

#endif
