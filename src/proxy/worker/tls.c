#include "proxy/worker/tls.h"

#include <ctype.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handshake/fast_handshake.h"
#include "immure/openssl.h"
#include "proxy/worker/certificate.h"
#include "proxy/worker/client_bio.h"

#define SERVER_NAME_MAX 255

/* For handshakes, and for everything else. */
#define HANDSHAKE_PROPERTIES IMMURE_OPENSSL_PROPERTIES "," FAST_HANDSHAKE_WANTED
#define DEFAULT_PROPERTIES IMMURE_OPENSSL_PROPERTIES "," FAST_HANDSHAKE_UNWANTED

/* For each key type the certificate of a name, or NULL. */
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

/* Of two certificates of one type for the same name the first in the file is served. */
static struct selection select_certificates(const struct tls_frontend *frontend, const char *name)
{
    struct selection selection = {{NULL}};
    for (size_t i = 0; i < frontend->certificate_count; i++) {
        struct tls_certificate *certificate = &frontend->certificates[i];
        if (selection.of[certificate->kind] == NULL && name_matches(certificate, name))
            selection.of[certificate->kind] = certificate;
    }
    return selection;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                       const unsigned char *in, unsigned in_length, void *arg)
{
    (void)ssl;
    const struct frontend_config *config = arg;
    int result = SSL_select_next_proto((unsigned char **)out, out_length, config->alpn,
                                       (unsigned)config->alpn_length, in, in_length);
    /* RFC 7301, section 3.2: no protocol in common is fatal. */
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int compare_name(const void *key, const void *element)
{
    return strcmp(key, ((const struct tls_name *)element)->name);
}

static SSL_CTX *find_name(const struct tls_frontend *frontend, const char *name)
{
    const struct tls_name *found =
        bsearch(name, frontend->names, frontend->name_count, sizeof *frontend->names, compare_name);
    return found != NULL ? found->context : NULL;
}

/* Exact names before wildcards, and a wildcard stands for exactly one label (RFC 6125,
 * section 6.4.3). */
static int select_context(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    const struct tls_frontend *frontend = arg;
    const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    char name[SERVER_NAME_MAX + 1];
    size_t length = asked != NULL ? strlen(asked) : 0;
    if (length == 0 || length > SERVER_NAME_MAX)
        return SSL_TLSEXT_ERR_NOACK;
    for (size_t i = 0; i <= length; i++)
        name[i] = (char)tolower((unsigned char)asked[i]);

    SSL_CTX *context = find_name(frontend, name);
    char *dot = strchr(name, '.');
    if (context == NULL && dot != NULL && dot > name) {
        dot[-1] = '*';
        context = find_name(frontend, dot - 1);
    }
    if (context == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_SSL_CTX(ssl, context);
    return SSL_TLSEXT_ERR_OK;
}

static bool use_selection(SSL_CTX *context, const struct selection *selection)
{
    for (int kind = 0; kind < CERTIFICATE_KIND_COUNT; kind++) {
        const struct tls_certificate *certificate = selection->of[kind];
        if (certificate != NULL &&
            SSL_CTX_use_cert_and_key(context, certificate->leaf, certificate->key,
                                     certificate->chain, 1) != 1)
            return false;
    }
    return true;
}

static bool set_protocol(SSL_CTX *context, const struct frontend_config *config)
{
    return SSL_CTX_set_min_proto_version(context, config->tls_min) == 1 &&
           SSL_CTX_set_max_proto_version(context, config->tls_max) == 1 &&
           SSL_CTX_set_cipher_list(context, config->ciphers) == 1 &&
           SSL_CTX_set_ciphersuites(context, config->ciphersuites) == 1 &&
           (config->groups == NULL || SSL_CTX_set1_groups_list(context, config->groups) == 1);
}

/* Sessions are of the frontend: one made under a name resumes under it, whichever context made it.
 */
static bool set_session_id(SSL_CTX *context, const struct frontend_config *config)
{
    unsigned char digest[32];
    return EVP_Digest(config->name, strlen(config->name), digest, NULL, EVP_sha256(), NULL) == 1 &&
           SSL_CTX_set_session_id_context(context, digest, sizeof digest) == 1;
}

static SSL_CTX *make_context(struct tls *tls, struct tls_frontend *frontend,
                             const struct selection *selection)
{
    const struct frontend_config *config = frontend->config;
    SSL_CTX *context = SSL_CTX_new_ex(tls->library, HANDSHAKE_PROPERTIES, TLS_server_method());
    if (context == NULL)
        return NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1); /* else two reads a record */
    if (!set_protocol(context, config) || !set_session_id(context, config) ||
        !use_selection(context, selection) ||
        !tickets_use(&tls->tickets, context, config->tickets)) {
        SSL_CTX_free(context);
        return NULL;
    }
    if (config->alpn != NULL)
        SSL_CTX_set_alpn_select_cb(context, select_alpn, (void *)config);
    SSL_CTX_set_tlsext_servername_callback(context, select_context);
    SSL_CTX_set_tlsext_servername_arg(context, frontend);
    return context;
}

/* The context that serves this set of certificates, made when there is none. */
static SSL_CTX *context_for(struct tls *tls, struct tls_frontend *frontend, struct selection *known,
                            const struct selection *wanted)
{
    for (size_t i = 0; i < frontend->context_count; i++)
        if (memcmp(&known[i], wanted, sizeof *wanted) == 0)
            return frontend->contexts[i];
    SSL_CTX *context = make_context(tls, frontend, wanted);
    if (context == NULL)
        return NULL;
    known[frontend->context_count] = *wanted;
    frontend->contexts[frontend->context_count++] = context;
    return context;
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

/* The default: the first certificate, and with it those of other key types for its first name. */
static struct selection default_selection(const struct tls_frontend *frontend)
{
    struct tls_certificate *first = &frontend->certificates[0];
    struct selection selection = {{NULL}};
    if (first->name_count > 0)
        selection = select_certificates(frontend, first->names[0]);
    selection.of[first->kind] = first;
    return selection;
}

static bool make_contexts(struct tls *tls, struct tls_frontend *frontend)
{
    struct selection *known = calloc(frontend->name_count + 1, sizeof *known);
    frontend->contexts = calloc(frontend->name_count + 1, sizeof *frontend->contexts);
    struct selection wanted = default_selection(frontend);
    bool good = known != NULL && frontend->contexts != NULL &&
                context_for(tls, frontend, known, &wanted) != NULL;
    for (size_t i = 0; good && i < frontend->name_count; i++) {
        wanted = select_certificates(frontend, frontend->names[i].name);
        frontend->names[i].context = context_for(tls, frontend, known, &wanted);
        good = frontend->names[i].context != NULL;
    }
    free(known);
    return good;
}

static bool open_frontend(struct tls *tls, struct tls_frontend *frontend,
                          const struct config *config, const struct frontend_config *from,
                          struct conf_error *error)
{
    frontend->config = from;
    frontend->certificates = calloc(from->certificate_count, sizeof *frontend->certificates);
    if (frontend->certificates == NULL)
        return false;
    for (size_t i = 0; i < from->certificate_count; i++) {
        frontend->certificate_count++;
        if (!certificate_load(&frontend->certificates[i], &from->certificates[i], config->file,
                              config->signing, tls->library, error))
            return false;
    }
    if (gather_names(frontend) && make_contexts(tls, frontend))
        return true;
    unsigned long code = ERR_peek_last_error();
    snprintf(error->text, sizeof error->text, "%s:%d: frontend \"%s\": %s", config->file,
             from->line, from->name, code != 0 ? ERR_reason_error_string(code) : "out of memory");
    return false;
}

static bool open_library(struct tls *tls, const struct config *config)
{
    tls->library = immure_openssl_context();
    if (tls->library == NULL || config->fast_handshake == 0)
        return tls->library != NULL;
    tls->fast = fast_handshake_open(tls->library, config->fast_handshake);
    return tls->fast != NULL && EVP_set_default_properties(tls->library, DEFAULT_PROPERTIES) == 1;
}

struct tls *tls_open(const struct config *config, const struct ticket_keys *keys,
                     struct conf_error *error)
{
    snprintf(error->text, sizeof error->text, "%s: OpenSSL cannot be set up", config->file);
    struct tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return NULL;
    tls->frontends = calloc(config->frontend_count, sizeof *tls->frontends);
    tls->client_bio = client_bio_method();
    bool good = open_library(tls, config) && tls->frontends != NULL && tls->client_bio != NULL &&
                tickets_init(&tls->tickets, tls->library, keys);
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
        SSL_CTX_free(frontend->contexts[i]);
    for (size_t i = 0; i < frontend->certificate_count; i++)
        certificate_unload(&frontend->certificates[i]);
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
    tickets_release(&tls->tickets);
    fast_handshake_close(tls->fast);
    immure_openssl_context_free(tls->library);
    BIO_meth_free(tls->client_bio);
    free(tls);
}

SSL *tls_accept(const struct tls_frontend *frontend)
{
    SSL *ssl = SSL_new(frontend->contexts[0]);
    if (ssl != NULL)
        SSL_set_accept_state(ssl);
    return ssl;
}
