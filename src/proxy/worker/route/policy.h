/*
 * TLS policies: for each, a thread has one SSL_CTX. Routes with the same policy share it. It holds
 * no certificates: a connection gets those of its route.
 */
#ifndef PROXY_WORKER_ROUTE_POLICY_H
#define PROXY_WORKER_ROUTE_POLICY_H

#include <openssl/ssl.h>

#include "base/name_table.h"
#include "conf/error.h"
#include "proxy/config/config.h"
#include "proxy/worker/route/client_policy.h"
#include "proxy/worker/route/sessions.h"
#include "proxy/worker/route/tls_settings.h"

struct tls_policy {
    const struct tls_policy_config *config;
    struct tls_settings settings;
    struct client_check clients;
    SSL_CTX *context;
    SSL_CTX *trial; /* in which certificates are tried, by the thread that tells; NULL in others */
};

struct tls_policies {
    struct name_table known; /* what each says, as text */
    struct tls_policy **of;
};

/* What contexts are made with. */
struct policy_maker {
    struct tls_settings_source source;
    struct sessions *sessions;
    struct client_check clients;
    void (*prepare)(SSL_CTX *context); /* sets the callbacks */
};

/* Returns the policy of the route that the maker's source names. NULL: *error says why. */
const struct tls_policy *policy_for(struct tls_policies *policies, const struct policy_maker *maker,
                                    struct conf_error *error);
void policies_free(struct tls_policies *policies);

/* Makes the context for connections whose route is not known yet, and which most probably get this
 * policy. NULL: out of memory. */
SSL_CTX *policy_entry(const struct tls_policy *policy, const struct policy_maker *maker);
/* For a client_hello callback: gives the policy to a connection that has another. */
bool policy_use(const struct tls_policy *policy, SSL *ssl);

#endif
