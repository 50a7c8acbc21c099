/*
 * What libssl is told about versions, ciphers and groups of a frontend: tried out and made whole
 * once, so that every SSL_CTX of the frontend takes it.
 */
#ifndef PROXY_WORKER_ROUTE_TLS_SETTINGS_H
#define PROXY_WORKER_ROUTE_TLS_SETTINGS_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "conf/error.h"
#include "proxy/config/config.h"

struct tls_settings {
    int min, max;             /* TLS1_2_VERSION or TLS1_3_VERSION */
    char *ciphers;            /* of TLS 1.2, without those that cannot work; NULL: of no use */
    const char *ciphersuites; /* of TLS 1.3 */
    const char *groups;
};

struct tls_settings_source {
    const char *file; /* of the configuration */
    const struct frontend_config *config;
    OSSL_LIB_CTX *library;
    const char *properties;
    bool rsa, ecdsa; /* how the certificates can authenticate the server in TLS 1.2 */
    bool tells;      /* warns in the log of what is odd: one of the threads does */
};

/* False: *error names the directive and what is wrong with it. To be freed all the same. */
bool tls_settings_make(struct tls_settings *settings, const struct tls_settings_source *source,
                       struct conf_error *error);
void tls_settings_free(struct tls_settings *settings);
/* False: out of memory. */
bool tls_settings_apply(const struct tls_settings *settings, SSL_CTX *context);

#endif
