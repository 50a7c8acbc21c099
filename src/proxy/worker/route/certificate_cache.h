/*
 * The certificates of the store that a thread has parsed. One is parsed when a client first asks
 * for it, and kept until others need its place: those that were asked for only once, or not
 * lately, go first, so that a flood of names does not displace the busy ones. The certificates
 * above them are shared.
 */
#ifndef PROXY_WORKER_ROUTE_CERTIFICATE_CACHE_H
#define PROXY_WORKER_ROUTE_CERTIFICATE_CACHE_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "conf/error.h"
#include "proxy/store/store.h"

struct certificate {
    uint32_t number;  /* in the store; STORE_NONE: none */
    bool asked_again; /* since it was parsed, or since the last search for a place */
    X509 *leaf;
    STACK_OF(X509) * chain; /* what follows the leaf */
    EVP_PKEY *key;          /* a reference to the key in immured, or in `in-process` mode the key */
};

/* A certificate that follows a leaf. */
struct issuer {
    X509 *certificate;
    size_t uses; /* by certificates that are parsed */
};

struct certificate_cache {
    const struct store *store;
    OSSL_LIB_CTX *library; /* of the certificates above the leaves, and of keys */
    OSSL_LIB_CTX *reader;  /* of the leaves; see provider/certificate.h */
    struct certificate *of;
    size_t room, next; /* next: where the search for a place goes on */
    uint32_t *places;  /* for each certificate of the store: its place in `of` plus 1, or 0 */
    struct issuer *issuers;
    EVP_PKEY **keys; /* for each certificate of the store, in `in-process` mode; else NULL */
};

/* The store and the library contexts outlive *cache. `most` is how many are kept at a time. False:
 * out of memory; call certificate_cache_close() all the same. */
bool certificate_cache_open(struct certificate_cache *cache, const struct store *store,
                            OSSL_LIB_CTX *library, OSSL_LIB_CTX *reader, size_t most);
void certificate_cache_close(struct certificate_cache *cache);
/* Before it is closed, in parts: frees at most this many certificates, so that a turn stays short.
 * Returns whether there are more. Nothing can be taken any more. */
bool certificate_cache_clear(struct certificate_cache *cache, size_t most);

/* For `in-process` mode, before anything else: reads the key of every certificate. False: *error
 * says which file is bad and why. */
bool certificate_cache_read_keys(struct certificate_cache *cache, struct conf_error *error);

/* Returns the certificate until the next call; NULL: libcrypto or memory fail, and libcrypto's
 * error queue says why. */
const struct certificate *certificate_cache_take(struct certificate_cache *cache, uint32_t number);

/* Returns false, with "FILE:LINE: certificate: PATH: WHAT: libcrypto's reason" in *error. */
bool certificate_refuse(const struct store *store, uint32_t number, struct store_span path,
                        const char *what, struct conf_error *error);

#endif
