/* The TLS side of routes and frontends as one thread has it. */
#ifndef PROXY_WORKER_ROUTE_TLS_ROUTE_H
#define PROXY_WORKER_ROUTE_TLS_ROUTE_H

#include <openssl/ssl.h>

#include "conf/error.h"
#include "proxy/config/config.h"
#include "proxy/worker/route/authority.h"
#include "proxy/worker/route/certificates.h"
#include "proxy/worker/route/policy.h"
#include "proxy/worker/route/sessions.h"

struct tls_route {
    const struct route_config *config;
    const struct tls_policy *policy;
    unsigned kinds;                    /* of its certificates: a bit for each */
    struct store_choice nothing;       /* no certificate at all */
    uint8_t scope[SESSION_SCOPE_SIZE]; /* of its sessions, without certificates and names */
};

struct tls_frontend {
    struct tls *tls;
    const struct frontend_config *config;
    uint32_t number;
    SSL_CTX *entry;           /* of connections whose route is not known yet */
    struct tls_route *routes; /* a part of those of the struct tls; the first is its own */
    bool passes;              /* one of its routes sends streams on as they are */
};

/* The same for all threads of a worker. */
struct tls_setup {
    const struct proxy_config *config;
    struct shared_store *_Atomic store; /* the certificates in force; the main thread changes it */
    const struct ticket_keys *tickets;
    struct session_cache *sessions; /* NULL: none */
    const struct authorities *authorities;
    bool again; /* the configuration has been served before, by a worker that has ended */
};

struct tls {
    const struct tls_setup *setup;
    OSSL_LIB_CTX *library, *certificate_reader;
    struct fast_handshake *fast; /* NULL: off */
    BIO_METHOD *client_bio;
    struct sessions sessions;
    bool tells;                     /* logs warnings; set for one of the threads */
    struct tls_frontend *frontends; /* as in config */
    size_t frontend_count;
    struct tls_route *routes; /* of all frontends, by number */
    X509_STORE **trusted;     /* by number of the setup's authorities */
    struct tls_policies policies;
    struct certificates *certificates; /* in force */
    struct list before;                /* those that were, and that are not freed yet */
    uint64_t refused_at;     /* when the last line about a refused client was logged, ns */
    unsigned refused_unsaid; /* clients that have been refused since then without a line */
};

#endif
