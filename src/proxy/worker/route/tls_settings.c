#include "proxy/worker/route/tls_settings.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/worker/route/group_cost.h"

#define GROUP_DEAR (300 * NS_PER_US)
#define NAME_MAX_BYTES 64

/* The first list that this libssl understands is used. In OpenSSL 3.5 "/" separates tuples: a
 * HelloRetryRequest asks for a group of an earlier tuple before a group of a later one is used.
 * There are no finite-field groups, X448 or P-521: no client needs them, and one handshake with
 * ffdhe8192 costs an event loop as much as hundreds with X25519. */
static const char *const default_groups[] = {"X25519MLKEM768/X25519:P-256/P-384",
                                             "X25519:P-256:P-384"};

static bool fail(const struct tls_settings_source *source, struct conf_error *error,
                 const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool fail(const struct tls_settings_source *source, struct conf_error *error,
                 const char *format, ...)
{
    va_list arguments;
    int length = snprintf(error->text, sizeof error->text, "%s:%d: %s \"%s\": ", source->file,
                          source->config->line, route_kind(source->config), source->config->name);
    ERR_clear_error();
    if (length < 0 || (size_t)length >= sizeof error->text)
        return false;
    va_start(arguments, format);
    vsnprintf(error->text + length, sizeof error->text - (size_t)length, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- ciphers of TLS 1.2 ---- */

/* Only ECDHE works: immured signs ephemeral keys and decrypts nothing, and a worker has no
 * parameters for finite-field Diffie-Hellman. */
static bool is_ecdhe(const SSL_CIPHER *cipher)
{
    return SSL_CIPHER_get_kx_nid(cipher) == NID_kx_ecdhe;
}

static bool is_tls13(const SSL_CIPHER *cipher)
{
    return SSL_CIPHER_get_kx_nid(cipher) == NID_kx_any;
}

static bool is_for(const SSL_CIPHER *cipher, const struct tls_settings_source *source)
{
    int authentication = SSL_CIPHER_get_auth_nid(cipher);
    return (authentication == NID_auth_rsa && source->rsa) ||
           (authentication == NID_auth_ecdsa && source->ecdsa);
}

static bool any_works(const STACK_OF(SSL_CIPHER) * ciphers,
                      const struct tls_settings_source *source)
{
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
        if (is_ecdhe(cipher) && is_for(cipher, source))
            return true;
    }
    return false;
}

/* Returns the configured ciphers without those whose key exchange is not ECDHE, and lists those in
 * `others`, separated by ", ". NULL: out of memory. */
static char *leave_out(const char *wanted, const STACK_OF(SSL_CIPHER) * ciphers, FILE *others)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    fputs(wanted, out);
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
        if (is_tls13(cipher) || is_ecdhe(cipher))
            continue;
        fprintf(out, ":!%s", SSL_CIPHER_get_name(cipher));
        fprintf(others, "%s%s", ftell(others) > 0 ? ", " : "", SSL_CIPHER_get_name(cipher));
    }
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static const char *key_types(const struct tls_settings_source *source)
{
    return source->rsa && source->ecdsa ? "RSA, ECDSA or Ed25519"
           : source->rsa                ? "RSA"
                                        : "ECDSA or Ed25519";
}

static bool make_ciphers(struct tls_settings *settings, const struct tls_settings_source *source,
                         SSL_CTX *scratch, struct conf_error *error)
{
    const char *wanted = source->config->policy.ciphers;
    if (settings->min > TLS1_2_VERSION)
        return true;
    if (SSL_CTX_set_cipher_list(scratch, wanted) != 1)
        return fail(source, error, "ciphers: OpenSSL knows no cipher of \"%s\"", wanted);
    const STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(scratch);
    if (!any_works(ciphers, source))
        return fail(source, error,
                    "ciphers: none of \"%s\" has an ECDHE key exchange signed with %s, which the "
                    "certificates here need: no handshake of TLS 1.2 would succeed",
                    wanted, key_types(source));
    char *others = NULL;
    size_t size = 0;
    FILE *list = open_memstream(&others, &size);
    settings->ciphers = list != NULL ? leave_out(wanted, ciphers, list) : NULL;
    bool good = list != NULL && fclose(list) == 0 && settings->ciphers != NULL;
    if (good && size > 0 && source->tells)
        log_warning("%s:%d: %s \"%s\": ciphers: left out, since the key exchange is not "
                    "ECDHE: %s",
                    source->file, source->config->line, route_kind(source->config),
                    source->config->name, others);
    free(others);
    return good || fail(source, error, "out of memory");
}

/* ---- groups ---- */

/* Takes the next name of a list in OpenSSL's syntax: ":" and, since 3.5, "/" separate names, and
 * "?", "*" and "-" are prefixes of a name. False: the list is at its end. */
static bool next_group(const char **list, char name[NAME_MAX_BYTES])
{
    *list += strspn(*list, ":/?*-");
    size_t length = strcspn(*list, ":/");
    snprintf(name, NAME_MAX_BYTES, "%.*s", (int)(length < NAME_MAX_BYTES ? length : 0), *list);
    *list += length;
    return length > 0;
}

static bool refuse_groups(const struct tls_settings_source *source, SSL_CTX *scratch,
                          struct conf_error *error)
{
    const char *list = source->config->policy.groups;
    char name[NAME_MAX_BYTES];
    while (next_group(&list, name))
        if (SSL_CTX_set1_groups_list(scratch, name) != 1)
            return fail(source, error, "groups: OpenSSL knows no group \"%s\"", name);
    return fail(source, error, "groups: OpenSSL does not understand \"%s\"",
                source->config->policy.groups);
}

static void warn_of_dear_groups(const struct tls_settings_source *source)
{
    const char *list = source->config->policy.groups;
    char name[NAME_MAX_BYTES];
    while (next_group(&list, name)) {
        uint64_t cost = group_cost(source->library, name);
        if (cost > GROUP_DEAR)
            log_warning("%s:%d: %s \"%s\": groups: a handshake with %s takes %.1f ms of an "
                        "event loop",
                        source->file, source->config->line, route_kind(source->config),
                        source->config->name, name, (double)cost / NS_PER_MS);
    }
}

static bool make_groups(struct tls_settings *settings, const struct tls_settings_source *source,
                        SSL_CTX *scratch, struct conf_error *error)
{
    settings->groups = source->config->policy.groups;
    if (settings->groups != NULL) {
        if (SSL_CTX_set1_groups_list(scratch, settings->groups) != 1)
            return refuse_groups(source, scratch, error);
        if (source->tells)
            warn_of_dear_groups(source);
        return true;
    }
    for (size_t i = 0; i < sizeof default_groups / sizeof default_groups[0]; i++) {
        settings->groups = default_groups[i];
        if (SSL_CTX_set1_groups_list(scratch, settings->groups) == 1) {
            ERR_clear_error();
            return true;
        }
    }
    return fail(source, error, "groups: OpenSSL knows none of %s", settings->groups);
}

/* ---- all together ---- */

bool tls_settings_make(struct tls_settings *settings, const struct tls_settings_source *source,
                       struct conf_error *error)
{
    const struct tls_policy_config *config = &source->config->policy;
    *settings = (struct tls_settings){.min = config->tls_min,
                                      .max = config->tls_max,
                                      .ciphersuites = config->ciphersuites,
                                      .signature_algorithms = config->signature_algorithms};
    SSL_CTX *scratch = SSL_CTX_new_ex(source->library, source->properties, TLS_server_method());
    bool good;
    if (scratch == NULL)
        good = fail(source, error, "out of memory");
    else if (SSL_CTX_set_ciphersuites(scratch, config->ciphersuites) != 1)
        good =
            fail(source, error, "ciphersuites: OpenSSL does not know \"%s\"", config->ciphersuites);
    else if (config->signature_algorithms != NULL &&
             SSL_CTX_set1_sigalgs_list(scratch, config->signature_algorithms) != 1)
        good = fail(source, error, "signature-algorithms: OpenSSL does not understand \"%s\"",
                    config->signature_algorithms);
    else
        good = make_ciphers(settings, source, scratch, error) &&
               make_groups(settings, source, scratch, error);
    SSL_CTX_free(scratch);
    return good;
}

void tls_settings_free(struct tls_settings *settings)
{
    free(settings->ciphers);
}

bool tls_settings_apply(const struct tls_settings *settings, SSL_CTX *context)
{
    return SSL_CTX_set_min_proto_version(context, settings->min) == 1 &&
           SSL_CTX_set_max_proto_version(context, settings->max) == 1 &&
           (settings->ciphers == NULL ||
            SSL_CTX_set_cipher_list(context, settings->ciphers) == 1) &&
           SSL_CTX_set_ciphersuites(context, settings->ciphersuites) == 1 &&
           SSL_CTX_set1_groups_list(context, settings->groups) == 1 &&
           (settings->signature_algorithms == NULL ||
            SSL_CTX_set1_sigalgs_list(context, settings->signature_algorithms) == 1);
}
