/*
 * The versions, ciphers and groups of a frontend in the form that libssl takes. They are completed
 * and checked once, so that every SSL_CTX of the frontend accepts them.
 */
#ifndef PROXY_WORKER_ROUTE_TLS_SETTINGS_H
#define PROXY_WORKER_ROUTE_TLS_SETTINGS_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "conf/error.h"
#include "proxy/config/config.h"

struct tls_settings {
    int min, max;             /* TLS1_2_VERSION or TLS1_3_VERSION */
    char *ciphers;            /* of TLS 1.2, without those that cannot work; NULL: no TLS 1.2 */
    const char *ciphersuites; /* of TLS 1.3 */
    const char *groups;
    const char *signature_algorithms; /* NULL: OpenSSL's default */
};

struct tls_settings_source {
    const char *file; /* of the configuration */
    const struct route_config *config;
    OSSL_LIB_CTX *library;
    const char *properties;
    bool rsa, ecdsa; /* how the certificates can authenticate the server in TLS 1.2 */
    bool tells;      /* logs warnings; set for one of the threads */
};

/* False: *error names the directive and says what is wrong with it; call tls_settings_free() all
 * the same. */
bool tls_settings_make(struct tls_settings *settings, const struct tls_settings_source *source,
                       struct conf_error *error);
void tls_settings_free(struct tls_settings *settings);
/* False: out of memory. */
bool tls_settings_apply(const struct tls_settings *settings, SSL_CTX *context);

#endif
