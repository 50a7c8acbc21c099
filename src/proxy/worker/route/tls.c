#include "proxy/worker/route/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "handshake/fast_handshake.h"
#include "immure/openssl.h"
#include "proxy/worker/route/certificate.h"
#include "proxy/worker/route/hello.h"
#include "proxy/worker/route/server_name.h"
#include "proxy/worker/transport/client_bio.h"

/* For handshakes, and for everything else. */
#define HANDSHAKE_PROPERTIES IMMURE_OPENSSL_PROPERTIES "," FAST_HANDSHAKE_WANTED
#define DEFAULT_PROPERTIES IMMURE_OPENSSL_PROPERTIES "," FAST_HANDSHAKE_UNWANTED

/* ---- certificates ---- */

/* A configuration that is in force was valid when it was loaded: if one certificate has become
 * unusable since then, the others are served all the same. */
static bool leave_out(const struct tls *tls, struct tls_certificate *certificate,
                      const struct conf_error *error)
{
    certificate_unload(certificate);
    if (tls->setup->again && tls->tells)
        log_error("%s; its names are not served", error->text);
    return tls->setup->again;
}

/* Adds the certificates that can be read to those of all routes, where they follow each other. */
static bool load_certificates(struct tls *tls, const struct tls_frontend *frontend,
                              struct tls_route *route, struct conf_error *error)
{
    const struct proxy_config *config = tls->setup->config;
    route->certificates = &tls->certificates[tls->certificate_count];
    for (size_t i = 0; i < route->config->certificate_count; i++) {
        struct tls_certificate *added = &route->certificates[route->certificate_count];
        *added = (struct tls_certificate){.frontend = frontend->config};
        if (certificate_load(added, &route->config->certificates[i], config->file, config->signing,
                             tls->library, error)) {
            route->certificate_count++;
            tls->certificate_count++;
        } else if (!leave_out(tls, added, error)) {
            return false;
        }
    }
    return true;
}

/* Of the certificates that OpenSSL does not take with the settings of their route, none is served.
 */
static bool try_certificates(struct tls *tls, struct tls_route *route, struct conf_error *error)
{
    const char *file = tls->setup->config->file;
    for (size_t i = 0; i < route->certificate_count; i++) {
        const struct tls_certificate *certificate = &route->certificates[i];
        if (!certificate_try(certificate, route->policy->trial, file, error))
            return false;
        if (tls->tells)
            certificate_warn(certificate, file);
    }
    return true;
}

/* ---- routes ---- */

/* How the certificates that a route uses can authenticate it in TLS 1.2. */
static void note_kinds(struct tls_settings_source *source, const struct tls_route *route,
                       const struct tls_route *own)
{
    const struct tls_route *from = route->certificate_count > 0 ? route : own;
    for (size_t i = 0; i < from->certificate_count; i++) {
        enum certificate_kind kind = from->certificates[i].kind;
        bool rsa = kind == CERTIFICATE_RSA || kind == CERTIFICATE_RSA_PSS;
        source->rsa |= rsa;
        source->ecdsa |= !rsa;
    }
    if (from->certificate_count == 0)
        source->rsa = source->ecdsa = true; /* it terminates nothing */
}

static struct policy_maker maker_for(struct tls *tls, const struct tls_frontend *frontend,
                                     const struct tls_route *route)
{
    struct policy_maker maker = {.source = {.file = tls->setup->config->file,
                                            .config = route->config,
                                            .library = tls->library,
                                            .properties = HANDSHAKE_PROPERTIES,
                                            .tells = tls->tells},
                                 .sessions = &tls->sessions,
                                 .clients = {.config = &route->config->policy.client},
                                 .prepare = hello_prepare};
    size_t authority = maker.clients.config->authority;
    if (authority != NO_AUTHORITY) {
        maker.clients.authority = &tls->setup->authorities->of[authority];
        maker.clients.store = tls->stores[authority];
    }
    note_kinds(&maker.source, route, &frontend->routes[0]);
    return maker;
}

static bool open_route(struct tls *tls, const struct tls_frontend *frontend,
                       struct tls_route *route, struct conf_error *error)
{
    struct policy_maker maker = maker_for(tls, frontend, route);
    route->policy = policy_for(&tls->policies, &maker, error);
    return route->policy != NULL && try_certificates(tls, route, error) &&
           sessions_route_scope(&tls->sessions, frontend->config->name, route->config,
                                &maker.clients, route->scope);
}

/* ---- frontends ---- */

static bool load_all(struct tls *tls, const struct tls_frontend *frontend, struct conf_error *error)
{
    size_t before = tls->certificate_count, wanted = 0;
    for (size_t i = 0; i < frontend->config->route_count; i++) {
        struct tls_route *route = &frontend->routes[i];
        route->config = &frontend->config->routes[i];
        wanted += route->config->certificate_count;
        if (!load_certificates(tls, frontend, route, error))
            return false;
    }
    return wanted == 0 || tls->certificate_count > before;
}

static bool open_frontend(struct tls *tls, struct tls_frontend *frontend, struct conf_error *error)
{
    const struct frontend_config *config = frontend->config;
    const struct tls_route *own = &frontend->routes[0];
    if (!load_all(tls, frontend, error))
        return false;
    snprintf(error->text, sizeof error->text, "%s:%d: frontend \"%s\": out of memory",
             tls->setup->config->file, config->line, config->name);
    for (size_t i = 0; i < config->route_count; i++) {
        frontend->passes |= config->routes[i].passthrough;
        if (!open_route(tls, frontend, &frontend->routes[i], error))
            return false;
    }
    struct policy_maker maker = maker_for(tls, frontend, own);
    frontend->entry = policy_entry(own->policy, &maker);
    return frontend->entry != NULL &&
           choices_make(&frontend->choices, frontend->routes, config->route_count);
}

static void close_frontend(struct tls_frontend *frontend)
{
    SSL_CTX_free(frontend->entry);
    choices_free(&frontend->choices);
}

/* ---- all together ---- */

static bool open_library(struct tls *tls, const struct proxy_config *config)
{
    tls->library = immure_openssl_context();
    if (tls->library == NULL || config->fast_handshake == 0)
        return tls->library != NULL;
    tls->fast = fast_handshake_open(tls->library, config->fast_handshake);
    return tls->fast != NULL && EVP_set_default_properties(tls->library, DEFAULT_PROPERTIES) == 1;
}

static bool open_stores(struct tls *tls)
{
    const struct authorities *authorities = tls->setup->authorities;
    tls->stores = calloc(authorities->count + 1, sizeof(X509_STORE *));
    bool good = tls->stores != NULL;
    for (size_t i = 0; good && i < authorities->count; i++) {
        tls->stores[i] = authority_store(&authorities->of[i], tls->library);
        good = tls->stores[i] != NULL;
    }
    return good;
}

static void close_stores(struct tls *tls)
{
    for (size_t i = 0; tls->stores != NULL && i < tls->setup->authorities->count; i++)
        X509_STORE_free(tls->stores[i]);
    free(tls->stores);
}

static bool make_room(struct tls *tls, const struct proxy_config *config)
{
    struct certificate_walk walk = {0};
    size_t certificates = 0;
    while (certificate_walk_next(config, &walk) != NULL)
        certificates++;
    tls->frontends = calloc(config->frontend_count, sizeof *tls->frontends);
    tls->routes = calloc(config->route_count, sizeof *tls->routes);
    tls->certificates = calloc(certificates + 1, sizeof *tls->certificates);
    return tls->frontends != NULL && tls->routes != NULL && tls->certificates != NULL;
}

struct tls *tls_open(const struct tls_setup *setup, bool tells, struct conf_error *error)
{
    const struct proxy_config *config = setup->config;
    snprintf(error->text, sizeof error->text, "%s: OpenSSL cannot be set up", config->file);
    struct tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return NULL;
    tls->setup = setup;
    tls->tells = tells;
    tls->client_bio = client_bio_method();
    bool good = make_room(tls, config) && open_library(tls, config) && open_stores(tls) &&
                tls->client_bio != NULL && server_name_init() &&
                sessions_init(&tls->sessions, tls->library, setup->tickets, setup->sessions);
    for (size_t i = 0; good && i < config->frontend_count; i++) {
        const struct frontend_config *from = &config->frontends[i];
        struct tls_frontend *frontend = &tls->frontends[tls->frontend_count++];
        *frontend = (struct tls_frontend){
            .tls = tls, .config = from, .routes = &tls->routes[from->routes[0].number]};
        good = open_frontend(tls, frontend, error);
    }
    if (good)
        return tls;
    tls_close(tls);
    return NULL;
}

void tls_close(struct tls *tls)
{
    if (tls == NULL)
        return;
    for (size_t i = 0; i < tls->frontend_count; i++)
        close_frontend(&tls->frontends[i]);
    for (size_t i = 0; i < tls->certificate_count; i++)
        certificate_unload(&tls->certificates[i]);
    policies_free(&tls->policies);
    close_stores(tls);
    free(tls->certificates);
    free(tls->routes);
    free(tls->frontends);
    sessions_release(&tls->sessions);
    fast_handshake_close(tls->fast);
    immure_openssl_context_free(tls->library);
    BIO_meth_free(tls->client_bio);
    free(tls);
}
