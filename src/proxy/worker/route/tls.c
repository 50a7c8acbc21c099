#include "proxy/worker/route/tls.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "handshake/fast_handshake.h"
#include "immure/openssl.h"
#include "provider/certificate.h"
#include "proxy/worker/route/client_refusal.h"
#include "proxy/worker/route/hello.h"
#include "proxy/worker/route/server_name.h"
#include "proxy/worker/transport/client_bio.h"

/* For handshakes, and for everything else. */
#define HANDSHAKE_PROPERTIES IMMURE_OPENSSL_PROPERTIES "," FAST_HANDSHAKE_WANTED
#define DEFAULT_PROPERTIES IMMURE_OPENSSL_PROPERTIES "," FAST_HANDSHAKE_UNWANTED

#define CLEARED_AT_ONCE 64 /* parsed certificates */

/* ---- certificates ---- */

static void note_kinds(struct tls *tls)
{
    const struct store *store = tls->certificates->store;
    for (uint32_t i = 0; i < store_certificate_count(store); i++) {
        const struct store_certificate *certificate = store_certificate(store, i);
        tls->routes[certificate->route].kinds |= 1u << certificate->kind;
    }
}

/* How the certificates that a route uses can authenticate it in TLS 1.2. A route that terminates
 * nothing has none. */
static void note_authentication(struct tls_settings_source *source, const struct tls_route *route,
                                const struct tls_route *own)
{
    const unsigned rsa = 1u << CERTIFICATE_RSA | 1u << CERTIFICATE_RSA_PSS;
    unsigned kinds = route->kinds != 0 ? route->kinds : own->kinds;
    source->rsa = kinds == 0 || (kinds & rsa) != 0;
    source->ecdsa = kinds == 0 || (kinds & ~rsa) != 0;
}

/* Whether OpenSSL takes the certificate with the settings of its route. */
static bool try_certificate(struct tls *tls, uint32_t number, struct conf_error *error)
{
    const struct store *store = tls->certificates->store;
    const struct store_certificate *stored = store_certificate(store, number);
    const struct certificate *certificate =
        certificate_cache_take(&tls->certificates->cache, number);
    return (certificate != NULL &&
            SSL_CTX_use_cert_and_key(tls->routes[stored->route].policy->trial, certificate->leaf,
                                     certificate->key, certificate->chain, 1) == 1) ||
           certificate_refuse(store, number, stored->files[STORE_CHAIN_FILE].path,
                              "OpenSSL refuses it", error);
}

/* Tries those without which a configuration is refused. One that is in force was valid when it was
 * loaded: then the others are served all the same. */
static bool try_required(struct tls *tls, struct conf_error *error)
{
    const struct store *store = tls->certificates->store;
    for (uint32_t i = 0; i < store_certificate_count(store); i++) {
        if (!store_certificate(store, i)->required || try_certificate(tls, i, error))
            continue;
        if (!tls->setup->again)
            return false;
        log_error("%s; its names are not served", error->text);
    }
    return true;
}

/* ---- routes ---- */

static struct policy_maker maker_for(struct tls *tls, const struct tls_frontend *frontend,
                                     const struct tls_route *route)
{
    struct policy_maker maker = {
        .source = {.file = tls->setup->config->file,
                   .config = route->config,
                   .library = tls->library,
                   .properties = HANDSHAKE_PROPERTIES,
                   .tells = tls->tells},
        .sessions = &tls->sessions,
        .clients = {.config = &route->config->policy.client, .refused = client_refusal_log},
        .prepare = hello_prepare};
    size_t authority = maker.clients.config->authority;
    if (authority != NO_AUTHORITY) {
        maker.clients.authority = &tls->setup->authorities->of[authority];
        maker.clients.store = tls->trusted[authority];
    }
    note_authentication(&maker.source, route, &frontend->routes[0]);
    return maker;
}

static bool open_route(struct tls *tls, const struct tls_frontend *frontend,
                       struct tls_route *route, struct conf_error *error)
{
    struct policy_maker maker = maker_for(tls, frontend, route);
    route->policy = policy_for(&tls->policies, &maker, error);
    route->nothing = (struct store_choice){.route = (uint32_t)route->config->number};
    for (size_t kind = 0; kind < CERTIFICATE_KIND_COUNT; kind++)
        route->nothing.certificates[kind] = STORE_NONE;
    return route->policy != NULL &&
           sessions_route_scope(&tls->sessions, frontend->config->name, route->config,
                                &maker.clients, route->scope);
}

static bool open_frontend(struct tls *tls, struct tls_frontend *frontend, struct conf_error *error)
{
    const struct frontend_config *config = frontend->config;
    const struct tls_route *own = &frontend->routes[0];
    snprintf(error->text, sizeof error->text, "%s:%d: frontend \"%s\": out of memory",
             tls->setup->config->file, config->line, config->name);
    for (size_t i = 0; i < config->route_count; i++) {
        frontend->passes |= config->routes[i].passthrough;
        if (!open_route(tls, frontend, &frontend->routes[i], error))
            return false;
    }
    struct policy_maker maker = maker_for(tls, frontend, own);
    frontend->entry = policy_entry(own->policy, &maker);
    return frontend->entry != NULL;
}

/* ---- all together ---- */

static bool open_library(struct tls *tls, const struct proxy_config *config)
{
    tls->library = immure_openssl_context();
    tls->certificate_reader = certificate_context();
    if (tls->library == NULL || tls->certificate_reader == NULL)
        return false;
    if (config->fast_handshake == 0)
        return true;
    tls->fast = fast_handshake_open(tls->library, config->fast_handshake);
    return tls->fast != NULL && EVP_set_default_properties(tls->library, DEFAULT_PROPERTIES) == 1;
}

static bool open_trusted(struct tls *tls)
{
    const struct authorities *authorities = tls->setup->authorities;
    tls->trusted = calloc(authorities->count + 1, sizeof(X509_STORE *));
    bool good = tls->trusted != NULL;
    for (size_t i = 0; good && i < authorities->count; i++) {
        tls->trusted[i] = authority_store(&authorities->of[i], tls->library);
        good = tls->trusted[i] != NULL;
    }
    return good;
}

static void close_trusted(struct tls *tls)
{
    for (size_t i = 0; tls->trusted != NULL && i < tls->setup->authorities->count; i++)
        X509_STORE_free(tls->trusted[i]);
    free(tls->trusted);
}

static bool open_routes(struct tls *tls, const struct proxy_config *config,
                        struct conf_error *error)
{
    for (size_t i = 0; i < config->frontend_count; i++) {
        const struct frontend_config *from = &config->frontends[i];
        for (size_t j = 0; j < from->route_count; j++)
            tls->routes[from->routes[j].number].config = &from->routes[j];
        struct tls_frontend *frontend = &tls->frontends[tls->frontend_count++];
        *frontend = (struct tls_frontend){.tls = tls,
                                          .config = from,
                                          .number = (uint32_t)i,
                                          .routes = &tls->routes[from->routes[0].number]};
        if (!open_frontend(tls, frontend, error))
            return false;
    }
    return true;
}

static bool open_all(struct tls *tls, struct conf_error *error)
{
    const struct tls_setup *setup = tls->setup;
    const struct proxy_config *config = setup->config;
    tls->client_bio = client_bio_method();
    tls->frontends = calloc(config->frontend_count, sizeof *tls->frontends);
    tls->routes = calloc(config->route_count, sizeof *tls->routes);
    if (tls->frontends == NULL || tls->routes == NULL || tls->client_bio == NULL ||
        !open_library(tls, config) || !open_trusted(tls) || !server_name_init() ||
        !sessions_init(&tls->sessions, tls->library, setup->tickets, setup->sessions) ||
        !tls_refresh(tls))
        return false;
    note_kinds(tls);
    return (config->signing != SIGNING_IN_PROCESS ||
            certificate_cache_read_keys(&tls->certificates->cache, error)) &&
           open_routes(tls, config, error) && (!tls->tells || try_required(tls, error));
}

struct tls *tls_open(const struct tls_setup *setup, bool tells, struct conf_error *error)
{
    snprintf(error->text, sizeof error->text, "%s: OpenSSL cannot be set up", setup->config->file);
    struct tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return NULL;
    list_init(&tls->before);
    tls->setup = setup;
    tls->tells = tells;
    if (open_all(tls, error))
        return tls;
    tls_close(tls);
    return NULL;
}

void tls_close(struct tls *tls)
{
    if (tls == NULL)
        return;
    for (size_t i = 0; i < tls->frontend_count; i++)
        SSL_CTX_free(tls->frontends[i].entry);
    certificates_free(tls->certificates);
    list_for_each(node, &tls->before)
        certificates_free(list_entry(node, struct certificates, node));
    policies_free(&tls->policies);
    close_trusted(tls);
    free(tls->routes);
    free(tls->frontends);
    sessions_release(&tls->sessions);
    fast_handshake_close(tls->fast);
    immure_openssl_context_free(tls->certificate_reader);
    immure_openssl_context_free(tls->library);
    BIO_meth_free(tls->client_bio);
    free(tls);
}

bool tls_refresh(struct tls *tls)
{
    const struct tls_setup *setup = tls->setup;
    struct certificates *next =
        certificates_new(atomic_load(&setup->store), tls->library, tls->certificate_reader,
                         setup->config->certificate_cache);
    if (next == NULL)
        return false;
    if (tls->certificates != NULL)
        list_append(&tls->before, &tls->certificates->node);
    tls->certificates = next;
    return true;
}

enum tls_cleared tls_clear(struct tls *tls)
{
    list_for_each(node, &tls->before)
    {
        struct certificates *certificates = list_entry(node, struct certificates, node);
        if (certificates->uses > 0)
            continue;
        if (certificate_cache_clear(&certificates->cache, CLEARED_AT_ONCE))
            return TLS_CLEARS;
        certificates_free(certificates);
    }
    return list_empty(&tls->before) ? TLS_CLEARED : TLS_IN_USE;
}
