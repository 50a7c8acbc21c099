#include "proxy/worker/route/authority.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "immure/openssl.h"

#define NAME_SIZE 256

static bool fail(const struct authority_config *config, const char *directive, const char *file,
                 const char *what, struct conf_error *error)
{
    snprintf(error->text, sizeof error->text, "%s:%d: %s %s: %s", config->file, config->line,
             directive, file, what);
    ERR_clear_error();
    return false;
}

/* ---- CA certificates ---- */

/* Returns whether reading has come to the end of the PEM, and not to something unreadable. */
static bool at_end(void)
{
    bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return end;
}

static X509 *read_certificate(BIO *pem, OSSL_LIB_CTX *library)
{
    X509 *certificate = X509_new_ex(library, IMMURE_OPENSSL_PROPERTIES);
    if (certificate != NULL && PEM_read_bio_X509(pem, &certificate, NULL, NULL) != NULL)
        return certificate;
    X509_free(certificate);
    return NULL;
}

static bool read_certificates(struct authority *authority, OSSL_LIB_CTX *library,
                              struct conf_error *error)
{
    const struct authority_config *config = authority->config;
    BIO *pem = BIO_new_mem_buf(config->ca_bytes, (int)config->ca_length);
    X509 *certificate;
    authority->certificates = sk_X509_new_null();
    bool good = pem != NULL && authority->certificates != NULL;
    while (good && (certificate = read_certificate(pem, library)) != NULL) {
        X509_check_purpose(certificate, -1, 0); /* so that no thread computes its flags later */
        good = sk_X509_push(authority->certificates, certificate) > 0;
    }
    good = good && at_end() && sk_X509_num(authority->certificates) > 0;
    BIO_free(pem);
    return good || fail(config, "client-ca-file", config->ca_file,
                        "holds no PEM certificate, or one that cannot be read", error);
}

X509_STORE *authority_store(const struct authority *authority, OSSL_LIB_CTX *library)
{
    struct conf_error error;
    struct authority own = {.config = authority->config};
    X509_STORE *store = X509_STORE_new();
    bool good = store != NULL && read_certificates(&own, library, &error);
    for (int i = 0; good && i < sk_X509_num(own.certificates); i++)
        good = X509_STORE_add_cert(store, sk_X509_value(own.certificates, i)) == 1;
    sk_X509_pop_free(own.certificates, X509_free);
    if (good)
        return store;
    X509_STORE_free(store);
    return NULL;
}

STACK_OF(X509_NAME) * authority_names(const struct authority *authority)
{
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    bool good = names != NULL;
    for (int i = 0; good && i < sk_X509_num(authority->certificates); i++) {
        const X509 *certificate = sk_X509_value(authority->certificates, i);
        X509_NAME *name = X509_NAME_dup(X509_get_subject_name(certificate));
        good = name != NULL && sk_X509_NAME_push(names, name) > 0;
        if (!good)
            X509_NAME_free(name);
    }
    if (good)
        return names;
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return NULL;
}

/* ---- revocation lists ---- */

static bool may_sign_lists(X509 *certificate)
{
    return (X509_get_key_usage(certificate) & KU_CRL_SIGN) != 0; /* all bits: no restriction */
}

static X509 *find_issuer(const struct authority *authority, X509_CRL *list)
{
    for (int i = 0; i < sk_X509_num(authority->certificates); i++) {
        X509 *certificate = sk_X509_value(authority->certificates, i);
        if (X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(certificate)) == 0 &&
            may_sign_lists(certificate) &&
            X509_CRL_verify(list, X509_get0_pubkey(certificate)) == 1)
            return certificate;
    }
    return NULL;
}

/* Deltas, and lists of a part of the certificates or of other CAs' certificates, are marked by
 * critical extensions. */
static bool is_whole(const X509_CRL *list)
{
    for (int i = 0; i < X509_CRL_get_ext_count(list); i++)
        if (X509_EXTENSION_get_critical(X509_CRL_get_ext(list, i)))
            return false;
    return true;
}

/* The same CA may have several certificates. */
static bool is_same_issuer(const X509 *a, const X509 *b)
{
    return X509_NAME_cmp(X509_get_subject_name(a), X509_get_subject_name(b)) == 0 &&
           ASN1_STRING_cmp(X509_get0_pubkey_bitstr(a), X509_get0_pubkey_bitstr(b)) == 0;
}

static struct revocations *find_revocations(const struct authority *authority, const X509 *issuer)
{
    for (size_t i = 0; i < authority->revocation_count; i++)
        if (is_same_issuer(authority->revocations[i].issuer, issuer))
            return &authority->revocations[i];
    return NULL;
}

static bool has_expired(const X509_CRL *list)
{
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);
    return next != NULL && X509_cmp_current_time(next) < 0;
}

/* Takes over the list. Of several lists of one issuer the latest counts. */
static bool keep(struct authority *authority, X509_CRL *list, X509 *issuer)
{
    struct revocations *there = find_revocations(authority, issuer);
    if (there == NULL) {
        struct revocations *more =
            reallocarray(authority->revocations, authority->revocation_count + 1, sizeof *more);
        if (more == NULL)
            return false;
        authority->revocations = more;
        there = &more[authority->revocation_count++];
        *there = (struct revocations){.issuer = issuer};
    } else if (ASN1_TIME_compare(X509_CRL_get0_lastUpdate(list),
                                 X509_CRL_get0_lastUpdate(there->list)) <= 0) {
        X509_CRL_free(list);
        return true;
    }
    X509_CRL_free(there->list);
    there->list = list;
    return true;
}

/* Takes over the list. */
static bool add_list(struct authority *authority, X509_CRL *list, struct conf_error *error)
{
    const struct authority_config *config = authority->config;
    char name[NAME_SIZE], what[NAME_SIZE + 128];
    X509 *issuer = find_issuer(authority, list);
    const char *fault =
        issuer == NULL    ? "is signed by no CA in client-ca-file"
        : !is_whole(list) ? "has a critical extension: it is no list of all that the CA has revoked"
                          : NULL;
    X509_NAME_oneline(X509_CRL_get_issuer(list), name, sizeof name);
    ERR_clear_error();
    if (fault == NULL && keep(authority, list, issuer))
        return true;
    snprintf(what, sizeof what, "the list of %s %s", name,
             fault != NULL ? fault : "needs more memory");
    X509_CRL_free(list);
    return fail(config, "client-crl", config->crl, what, error);
}

/* libcrypto sorts a list when it is first asked: now, and not in a handshake. */
static void settle(const struct authority *authority)
{
    const struct authority_config *config = authority->config;
    char name[NAME_SIZE];
    X509_REVOKED *entry;
    for (size_t i = 0; i < authority->revocation_count; i++) {
        X509_CRL *list = authority->revocations[i].list;
        X509_CRL_get0_by_serial(list, &entry,
                                X509_get0_serialNumber(authority->revocations[i].issuer));
        X509_NAME_oneline(X509_CRL_get_issuer(list), name, sizeof name);
        if (has_expired(list))
            log_warning("%s:%d: client-crl %s: the list of %s has expired: its clients are refused",
                        config->file, config->line, config->crl, name);
    }
}

static X509_CRL *read_list(BIO *pem, OSSL_LIB_CTX *library)
{
    X509_CRL *list = X509_CRL_new_ex(library, IMMURE_OPENSSL_PROPERTIES);
    if (list != NULL && PEM_read_bio_X509_CRL(pem, &list, NULL, NULL) != NULL)
        return list;
    X509_CRL_free(list);
    return NULL;
}

static bool read_lists(struct authority *authority, OSSL_LIB_CTX *library, struct conf_error *error)
{
    const struct authority_config *config = authority->config;
    X509_CRL *list;
    if (config->crl == NULL)
        return true;
    BIO *pem = BIO_new_mem_buf(config->crl_bytes, (int)config->crl_length);
    bool good = true;
    while (good && pem != NULL && (list = read_list(pem, library)) != NULL)
        good = add_list(authority, list, error);
    BIO_free(pem);
    if (!good)
        return false;
    if (!at_end() || authority->revocation_count == 0)
        return fail(config, "client-crl", config->crl,
                    "holds no PEM revocation list, or one that cannot be read", error);
    settle(authority);
    return true;
}

int64_t authority_seconds(const ASN1_TIME *time)
{
    struct tm utc;
    return ASN1_TIME_to_tm(time, &utc) == 1 ? timegm(&utc) : 0;
}

static int look_up_one(const struct authority *authority, X509 *certificate, const X509 *issuer,
                       int64_t *until)
{
    const struct revocations *revocations = find_revocations(authority, issuer);
    X509_REVOKED *entry;
    if (revocations == NULL)
        return X509_V_ERR_UNABLE_TO_GET_CRL;
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(revocations->list);
    if (X509_CRL_get0_by_cert(revocations->list, &entry, certificate) == 1)
        return X509_V_ERR_CERT_REVOKED;
    if (X509_cmp_current_time(X509_CRL_get0_lastUpdate(revocations->list)) > 0)
        return X509_V_ERR_CRL_NOT_YET_VALID;
    if (has_expired(revocations->list))
        return X509_V_ERR_CRL_HAS_EXPIRED;
    if (next != NULL && authority_seconds(next) < *until)
        *until = authority_seconds(next);
    return X509_V_OK;
}

int authority_look_up(const struct authority *authority, STACK_OF(X509) * chain, int64_t *until)
{
    int result = X509_V_OK;
    if (authority->revocation_count == 0)
        return result;
    for (int i = 0; result == X509_V_OK && i + 1 < sk_X509_num(chain); i++)
        result =
            look_up_one(authority, sk_X509_value(chain, i), sk_X509_value(chain, i + 1), until);
    return result;
}

/* ---- all together ---- */

static bool hash_files(struct authority *authority, OSSL_LIB_CTX *library)
{
    const struct authority_config *config = authority->config;
    EVP_MD *sha256 = EVP_MD_fetch(library, "SHA256", NULL);
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    uint64_t length = config->ca_length;
    bool good = sha256 != NULL && hash != NULL && EVP_DigestInit_ex2(hash, sha256, NULL) == 1 &&
                EVP_DigestUpdate(hash, &length, sizeof length) == 1 &&
                EVP_DigestUpdate(hash, config->ca_bytes, config->ca_length) == 1 &&
                EVP_DigestUpdate(hash, config->crl_bytes, config->crl_length) == 1 &&
                EVP_DigestFinal_ex(hash, authority->hash, NULL) == 1;
    EVP_MD_CTX_free(hash);
    EVP_MD_free(sha256);
    return good;
}

/* Before OpenSSL 3.2, libssl reads the certificate in a ticket with the default library context.
 * What the context fetches for that takes milliseconds: now, and not in the first resumption. */
static void warm_up(const struct authorities *authorities)
{
    unsigned char *bytes = NULL;
    int length = authorities->count > 0
                     ? i2d_X509(sk_X509_value(authorities->of[0].certificates, 0), &bytes)
                     : 0;
    const unsigned char *next = bytes;
    if (length > 0)
        X509_free(d2i_X509(NULL, &next, length));
    OPENSSL_free(bytes);
}

struct authorities *authorities_open(const struct proxy_config *config, struct conf_error *error)
{
    struct authorities *authorities = calloc(1, sizeof *authorities);
    snprintf(error->text, sizeof error->text, "%s: out of memory", config->file);
    if (authorities == NULL)
        return NULL;
    authorities->library = immure_openssl_context();
    authorities->of = calloc(config->authority_count + 1, sizeof *authorities->of);
    bool good = authorities->library != NULL && authorities->of != NULL;
    while (good && authorities->count < config->authority_count) {
        struct authority *authority = &authorities->of[authorities->count];
        authority->config = &config->authorities[authorities->count++];
        good = hash_files(authority, authorities->library) &&
               read_certificates(authority, authorities->library, error) &&
               read_lists(authority, authorities->library, error);
    }
    if (good) {
        warm_up(authorities);
        return authorities;
    }
    authorities_close(authorities);
    return NULL;
}

void authorities_close(struct authorities *authorities)
{
    if (authorities == NULL)
        return;
    for (size_t i = 0; i < authorities->count; i++) {
        struct authority *authority = &authorities->of[i];
        for (size_t j = 0; j < authority->revocation_count; j++)
            X509_CRL_free(authority->revocations[j].list);
        free(authority->revocations);
        sk_X509_pop_free(authority->certificates, X509_free);
    }
    free(authorities->of);
    immure_openssl_context_free(authorities->library);
    free(authorities);
}
