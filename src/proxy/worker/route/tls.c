#include "proxy/worker/route/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "handshake/fast_handshake.h"
#include "immure/openssl.h"
#include "proxy/worker/route/certificate.h"
#include "proxy/worker/route/server_name.h"
#include "proxy/worker/transport/client_bio.h"

/* For handshakes, and for everything else. */
#define HANDSHAKE_PROPERTIES IMMURE_OPENSSL_PROPERTIES "," FAST_HANDSHAKE_WANTED
#define DEFAULT_PROPERTIES IMMURE_OPENSSL_PROPERTIES "," FAST_HANDSHAKE_UNWANTED

/* The certificate of a name for each key type, or NULL. */
struct selection {
    struct tls_certificate *of[CERTIFICATE_KIND_COUNT];
};

static bool name_matches(const struct tls_certificate *certificate, const char *name)
{
    for (size_t i = 0; i < certificate->name_count; i++)
        if (strcmp(certificate->names[i], name) == 0)
            return true;
    return false;
}

/* "*.example.com" for "www.example.com": a wildcard stands for exactly one label (RFC 6125, section
 * 6.4.3). False: no wildcard can match the name. */
static bool wildcard_for(const char *name, char wildcard[SERVER_NAME_MAX + 1])
{
    const char *dot = strchr(name, '.');
    if (dot == NULL || dot == name || strlen(dot) + 1 > SERVER_NAME_MAX)
        return false;
    snprintf(wildcard, SERVER_NAME_MAX + 1, "*%s", dot);
    return true;
}

/* If two certificates of one type have the same name, the first in the file is served. */
static void add_certificates(struct selection *selection, const struct tls_frontend *frontend,
                             const char *name)
{
    for (size_t i = 0; i < frontend->certificate_count; i++) {
        struct tls_certificate *certificate = &frontend->certificates[i];
        if (selection->of[certificate->kind] == NULL && name_matches(certificate, name))
            selection->of[certificate->kind] = certificate;
    }
}

/* A wildcard certificate serves for the key types of which the name itself has no certificate. */
static struct selection select_certificates(const struct tls_frontend *frontend, const char *name)
{
    struct selection selection = {{NULL}};
    char wildcard[SERVER_NAME_MAX + 1];
    add_certificates(&selection, frontend, name);
    if (wildcard_for(name, wildcard))
        add_certificates(&selection, frontend, wildcard);
    return selection;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                       const unsigned char *in, unsigned in_length, void *arg)
{
    (void)ssl;
    const struct tls_policy_config *config = arg;
    int result = SSL_select_next_proto((unsigned char **)out, out_length, config->alpn,
                                       (unsigned)config->alpn_length, in, in_length);
    /* RFC 7301, section 3.2: no protocol in common is fatal. */
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int compare_name(const void *key, const void *element)
{
    return strcmp(key, ((const struct tls_name *)element)->name);
}

static const struct tls_context *find_exactly(const struct tls_frontend *frontend, const char *name)
{
    const struct tls_name *found =
        bsearch(name, frontend->names, frontend->name_count, sizeof *frontend->names, compare_name);
    return found != NULL ? found->context : NULL;
}

/* Exact names win over wildcards. NULL: no certificate has the name. */
static const struct tls_context *find_name(const struct tls_frontend *frontend, const char *name)
{
    char wildcard[SERVER_NAME_MAX + 1];
    const struct tls_context *context = name != NULL ? find_exactly(frontend, name) : NULL;
    if (context == NULL && name != NULL && wildcard_for(name, wildcard))
        context = find_exactly(frontend, wildcard);
    return context;
}

/* Chooses certificates and the scope of sessions before libssl looks for a session to resume. */
static int choose(SSL *ssl, int *alert, void *arg)
{
    const struct tls_frontend *frontend = arg;
    const char *name = server_name_take(ssl);
    const struct tls_context *context = find_name(frontend, name);
    if (context == NULL)
        context = &frontend->contexts[0];
    if (SSL_set_SSL_CTX(ssl, context->ssl_context) != NULL &&
        sessions_set_scope(&frontend->tls->sessions, ssl, context->scope, name))
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

/* Tells the client whether a certificate has its name. */
static int acknowledge_name(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    return find_name(arg, server_name_of(ssl)) != NULL ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static bool use_selection(SSL_CTX *context, const struct selection *selection,
                          const char *config_file, struct conf_error *error)
{
    for (int kind = 0; kind < CERTIFICATE_KIND_COUNT; kind++)
        if (selection->of[kind] != NULL &&
            !certificate_use(selection->of[kind], context, config_file, error))
            return false;
    return true;
}

/* The scope identifies a set of certificates by its names and key types, so that sessions stay
 * valid when a certificate is renewed. */
static bool set_scope(struct tls_context *made, const struct tls_frontend *frontend,
                      const struct selection *selection)
{
    const struct sessions *sessions = &frontend->tls->sessions;
    EVP_MD_CTX *hash = sessions->hash;
    const char *name = frontend->config->name;
    bool good = EVP_DigestInit_ex2(hash, sessions->sha256, NULL) == 1 &&
                EVP_DigestUpdate(hash, name, strlen(name) + 1) == 1;
    for (int kind = 0; kind < CERTIFICATE_KIND_COUNT; kind++) {
        const struct tls_certificate *certificate = selection->of[kind];
        size_t count = certificate != NULL ? certificate->name_count : 0;
        good = good && EVP_DigestUpdate(hash, &kind, sizeof kind) == 1 &&
               EVP_DigestUpdate(hash, &count, sizeof count) == 1;
        for (size_t i = 0; good && i < count; i++)
            good = EVP_DigestUpdate(hash, certificate->names[i],
                                    strlen(certificate->names[i]) + 1) == 1;
    }
    return good && EVP_DigestFinal_ex(hash, made->scope, NULL) == 1;
}

static SSL_CTX *make_context(struct tls *tls, struct tls_frontend *frontend,
                             const struct selection *selection, const char *config_file,
                             struct conf_error *error)
{
    const struct tls_policy_config *config = &frontend->config->routes[0].policy;
    SSL_CTX *context = SSL_CTX_new_ex(tls->library, HANDSHAKE_PROPERTIES, TLS_server_method());
    if (context == NULL)
        return NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY); /* one record a call: see client_bio.h */
    if (!tls_settings_apply(&frontend->settings, context) ||
        !use_selection(context, selection, config_file, error) ||
        !sessions_use(&tls->sessions, context, config->tickets)) {
        SSL_CTX_free(context);
        return NULL;
    }
    if (config->alpn != NULL)
        SSL_CTX_set_alpn_select_cb(context, select_alpn, (void *)config);
    SSL_CTX_set_client_hello_cb(context, choose, frontend);
    SSL_CTX_set_tlsext_servername_callback(context, acknowledge_name);
    SSL_CTX_set_tlsext_servername_arg(context, frontend);
    return context;
}

/* Returns the context of this set of certificates, and makes it if there is none. */
static const struct tls_context *context_for(struct tls *tls, struct tls_frontend *frontend,
                                             struct selection *known,
                                             const struct selection *wanted,
                                             const char *config_file, struct conf_error *error)
{
    for (size_t i = 0; i < frontend->context_count; i++)
        if (memcmp(&known[i], wanted, sizeof *wanted) == 0)
            return &frontend->contexts[i];
    struct tls_context *made = &frontend->contexts[frontend->context_count];
    made->ssl_context = make_context(tls, frontend, wanted, config_file, error);
    if (made->ssl_context == NULL)
        return NULL;
    known[frontend->context_count++] = *wanted;
    return set_scope(made, frontend, wanted) ? made : NULL;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct tls_name *)a)->name, ((const struct tls_name *)b)->name);
}

/* Keeps the first of equal neighbours. */
static void drop_duplicates(struct tls_frontend *frontend)
{
    size_t kept = 0;
    for (size_t i = 0; i < frontend->name_count; i++)
        if (kept == 0 || compare_names(&frontend->names[kept - 1], &frontend->names[i]) != 0)
            frontend->names[kept++] = frontend->names[i];
    frontend->name_count = kept;
}

static bool gather_names(struct tls_frontend *frontend)
{
    size_t count = 0;
    for (size_t i = 0; i < frontend->certificate_count; i++)
        count += frontend->certificates[i].name_count;
    frontend->names = calloc(count + 1, sizeof *frontend->names);
    if (frontend->names == NULL)
        return false;
    for (size_t i = 0; i < frontend->certificate_count; i++)
        for (size_t j = 0; j < frontend->certificates[i].name_count; j++)
            frontend->names[frontend->name_count++].name = frontend->certificates[i].names[j];
    qsort(frontend->names, frontend->name_count, sizeof *frontend->names, compare_names);
    drop_duplicates(frontend);
    return true;
}

/* The default is the first certificate, with those of other key types for its first name. */
static struct selection default_selection(const struct tls_frontend *frontend)
{
    struct tls_certificate *first = &frontend->certificates[0];
    struct selection selection = {{NULL}};
    if (first->name_count > 0)
        selection = select_certificates(frontend, first->names[0]);
    selection.of[first->kind] = first;
    return selection;
}

static bool make_contexts(struct tls *tls, struct tls_frontend *frontend, const char *config_file,
                          struct conf_error *error)
{
    struct selection *known = calloc(frontend->name_count + 1, sizeof *known);
    frontend->contexts = calloc(frontend->name_count + 1, sizeof *frontend->contexts);
    struct selection wanted = default_selection(frontend);
    bool good = known != NULL && frontend->contexts != NULL &&
                context_for(tls, frontend, known, &wanted, config_file, error) != NULL;
    for (size_t i = 0; good && i < frontend->name_count; i++) {
        wanted = select_certificates(frontend, frontend->names[i].name);
        frontend->names[i].context = context_for(tls, frontend, known, &wanted, config_file, error);
        good = frontend->names[i].context != NULL;
    }
    free(known);
    return good;
}

static bool make_settings(struct tls *tls, struct tls_frontend *frontend, const char *config_file,
                          struct conf_error *error)
{
    struct tls_settings_source source = {.file = config_file,
                                         .config = frontend->config->routes,
                                         .library = tls->library,
                                         .properties = HANDSHAKE_PROPERTIES,
                                         .tells = tls->tells};
    for (size_t i = 0; i < frontend->certificate_count; i++) {
        enum certificate_kind kind = frontend->certificates[i].kind;
        bool rsa = kind == CERTIFICATE_RSA || kind == CERTIFICATE_RSA_PSS;
        source.rsa |= rsa;
        source.ecdsa |= !rsa;
    }
    return tls_settings_make(&frontend->settings, &source, error);
}

/* A configuration that is in force was valid when it was loaded: if one certificate has become
 * unusable since then, the others are served all the same. */
static bool add_certificate(const struct tls *tls, struct tls_frontend *frontend,
                            const struct certificate_config *from,
                            const struct proxy_config *config, struct conf_error *error)
{
    struct tls_certificate *added = &frontend->certificates[frontend->certificate_count];
    if (certificate_load(added, from, config->file, config->signing, tls->library, error)) {
        frontend->certificate_count++;
        if (tls->tells)
            certificate_warn(added, config->file);
        return true;
    }
    certificate_unload(added);
    if (tls->setup->again && tls->tells)
        log_error("%s; its names are not served", error->text);
    return tls->setup->again;
}

static bool open_frontend(struct tls *tls, struct tls_frontend *frontend,
                          const struct proxy_config *config, const struct frontend_config *from,
                          struct conf_error *error)
{
    snprintf(error->text, sizeof error->text, "%s:%d: frontend \"%s\": out of memory", config->file,
             from->line, from->name);
    frontend->tls = tls;
    frontend->config = from;
    frontend->certificates =
        calloc(from->routes[0].certificate_count, sizeof *frontend->certificates);
    if (frontend->certificates == NULL)
        return false;
    for (size_t i = 0; i < from->routes[0].certificate_count; i++)
        if (!add_certificate(tls, frontend, &from->routes[0].certificates[i], config, error))
            return false;
    return frontend->certificate_count > 0 && make_settings(tls, frontend, config->file, error) &&
           gather_names(frontend) && make_contexts(tls, frontend, config->file, error);
}

static bool open_library(struct tls *tls, const struct proxy_config *config)
{
    tls->library = immure_openssl_context();
    if (tls->library == NULL || config->fast_handshake == 0)
        return tls->library != NULL;
    tls->fast = fast_handshake_open(tls->library, config->fast_handshake);
    return tls->fast != NULL && EVP_set_default_properties(tls->library, DEFAULT_PROPERTIES) == 1;
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
    tls->frontends = calloc(config->frontend_count, sizeof *tls->frontends);
    tls->client_bio = client_bio_method();
    bool good = open_library(tls, config) && tls->frontends != NULL && tls->client_bio != NULL &&
                server_name_init() &&
                sessions_init(&tls->sessions, tls->library, setup->tickets, setup->sessions);
    for (size_t i = 0; good && i < config->frontend_count; i++) {
        tls->frontend_count++;
        good = open_frontend(tls, &tls->frontends[i], config, &config->frontends[i], error);
    }
    if (good)
        return tls;
    tls_close(tls);
    return NULL;
}

static void close_frontend(struct tls_frontend *frontend)
{
    for (size_t i = 0; i < frontend->context_count; i++)
        SSL_CTX_free(frontend->contexts[i].ssl_context);
    for (size_t i = 0; i < frontend->certificate_count; i++)
        certificate_unload(&frontend->certificates[i]);
    tls_settings_free(&frontend->settings);
    free(frontend->contexts);
    free(frontend->names);
    free(frontend->certificates);
}

void tls_close(struct tls *tls)
{
    if (tls == NULL)
        return;
    for (size_t i = 0; i < tls->frontend_count; i++)
        close_frontend(&tls->frontends[i]);
    free(tls->frontends);
    sessions_release(&tls->sessions);
    fast_handshake_close(tls->fast);
    immure_openssl_context_free(tls->library);
    BIO_meth_free(tls->client_bio);
    free(tls);
}

SSL *tls_accept(const struct tls_frontend *frontend)
{
    SSL *ssl = SSL_new(frontend->contexts[0].ssl_context);
    if (ssl != NULL)
        SSL_set_accept_state(ssl);
    return ssl;
}
