/*
 * Who vouches for clients: the CA certificates and the revocation lists of the configuration,
 * shared by all threads of a worker, which only read them.
 *
 * Revocation is looked up here and not by libcrypto, which would verify the signature of a whole
 * list in each handshake. Each list is verified once, when it is loaded, and finding a serial
 * number in it takes logarithmic time.
 */
#ifndef PROXY_WORKER_ROUTE_AUTHORITY_H
#define PROXY_WORKER_ROUTE_AUTHORITY_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/error.h"
#include "proxy/config/config.h"

#define AUTHORITY_HASH_SIZE 32

/* What revokes the certificates of one CA. */
struct revocations {
    X509_CRL *list;
    X509 *issuer; /* one of the authority's certificates */
};

struct authority {
    const struct authority_config *config;
    STACK_OF(X509) * certificates;
    struct revocations *revocations; /* one for each issuer */
    size_t revocation_count;
    uint8_t hash[AUTHORITY_HASH_SIZE]; /* of what its files held */
};

struct authorities {
    OSSL_LIB_CTX *library;
    struct authority *of; /* by number, as in the configuration */
    size_t count;
};

/* The configuration outlives the result. NULL: *error says which file and why. */
struct authorities *authorities_open(const struct proxy_config *config, struct conf_error *error);
void authorities_close(struct authorities *authorities);

/* Returns the CA certificates for one thread, which has this library context. NULL: out of memory.
 */
X509_STORE *authority_store(const struct authority *authority, OSSL_LIB_CTX *library);
/* Their names, for clients. NULL: out of memory. */
STACK_OF(X509_NAME) * authority_names(const struct authority *authority);

/* Looks up the certificates of a verified chain, except for its root. Returns X509_V_OK or another
 * of X509_STORE_CTX_get_error(3). *until becomes the time (seconds since 1970) at which the first
 * of the lists expires, if that is earlier. */
int authority_look_up(const struct authority *authority, STACK_OF(X509) * chain, int64_t *until);

/* Seconds since 1970; 0: it cannot be read. */
int64_t authority_seconds(const ASN1_TIME *time);

#endif
