/*
 * A loaded certificate of the configuration: the chain, the key (a reference to one in immured, or
 * a copy in `in-process` mode) and the names that it is for.
 */
#ifndef PROXY_WORKER_ROUTE_CERTIFICATE_H
#define PROXY_WORKER_ROUTE_CERTIFICATE_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "conf/error.h"
#include "immure/client.h"
#include "proxy/config/config.h"
#include "proxy/store/store.h"

struct tls_certificate {
    const struct certificate_config *config;
    const struct frontend_config *frontend; /* that it is for */
    X509 *leaf;
    STACK_OF(X509) * chain; /* what follows the leaf */
    EVP_PKEY *key;
    enum certificate_kind kind;
    uint8_t key_id[IMMURE_KEY_ID_SIZE];
    bool keyless; /* immured holds no key for it; set by the worker's main thread only */
    char *
        *names; /* DNS names in lower case: subjectAltName, else the common name; then addresses */
    size_t name_count;
    uint8_t names_hash[STORE_HASH_SIZE];
};

/* False: *error names the file and says what is wrong with it. */
bool certificate_load(struct tls_certificate *certificate, const struct certificate_config *config,
                      const char *config_file, enum signing_mode mode, OSSL_LIB_CTX *library,
                      struct conf_error *error);
void certificate_unload(struct tls_certificate *certificate);

/* Whether a context with the settings of its route takes the certificate. False: *error says why
 * OpenSSL refuses it. */
bool certificate_try(const struct tls_certificate *certificate, SSL_CTX *trial,
                     const char *config_file, struct conf_error *error);

/* "RSA-2048", "RSA-PSS-2048", "P-256", "Ed25519" */
void certificate_key_type(const struct tls_certificate *certificate, char *text, size_t size);
uint64_t certificate_not_after(const struct tls_certificate *certificate); /* seconds since 1970 */

#endif
