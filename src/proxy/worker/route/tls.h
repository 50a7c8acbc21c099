/*
 * The TLS side of a frontend, for one thread: certificates, keys, SNI, ALPN, versions.
 *
 * Each thread has an OpenSSL library context and SSL_CTXs of its own, so that threads share no lock
 * and no reference count of libssl.
 */
#ifndef PROXY_WORKER_ROUTE_TLS_H
#define PROXY_WORKER_ROUTE_TLS_H

#include <openssl/ssl.h>

#include "conf/error.h"
#include "proxy/config/config.h"
#include "proxy/worker/route/sessions.h"
#include "proxy/worker/route/tls_settings.h"

struct tls_certificate; /* a chain, its key and the names it is for: certificate.h */

/* One for each distinct set of certificates (at most one of each key type) that some name has. */
struct tls_context {
    SSL_CTX *ssl_context;
    uint8_t scope[SESSION_SCOPE_SIZE]; /* of its sessions, without the client's name */
};

struct tls_frontend {
    struct tls *tls;
    const struct frontend_config *config;
    struct tls_settings settings;
    struct tls_certificate *certificates;
    size_t certificate_count;
    struct tls_context *contexts; /* the first is the default: for no SNI or an unknown name */
    size_t context_count;
    struct tls_name {
        char *name; /* lower case; may begin with "*." */
        const struct tls_context *context;
    } * names; /* sorted */
    size_t name_count;
};

/* The same for all threads of a worker. */
struct tls_setup {
    const struct proxy_config *config;
    const struct ticket_keys *tickets;
    struct session_cache *sessions; /* NULL: none */
    bool again; /* the configuration has been served before, by a worker that has ended */
};

struct tls {
    const struct tls_setup *setup;
    OSSL_LIB_CTX *library;
    struct fast_handshake *fast; /* NULL: off */
    BIO_METHOD *client_bio;
    struct sessions sessions;
    bool tells;                     /* logs warnings; set for one of the threads */
    struct tls_frontend *frontends; /* as in config */
    size_t frontend_count;
};

/* Reads every chain, and with `in-process` every key. `tells`: whether to log warnings. The setup
 * outlives the result. NULL: *error says which file and why. */
struct tls *tls_open(const struct tls_setup *setup, bool tells, struct conf_error *error);
void tls_close(struct tls *tls);

/* Makes a server-side SSL for a connection of this frontend. NULL: out of memory. */
SSL *tls_accept(const struct tls_frontend *frontend);

#endif
