#include "proxy/worker/route/certificate.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "immure/openssl.h"

/* "immure.conf:7: certificate: <file>: <what>: <OpenSSL's reason>" */
static bool fail(const struct tls_certificate *certificate, const char *config_file,
                 const char *file, const char *what, struct conf_error *error)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    snprintf(error->text, sizeof error->text, "%s:%d: certificate: %s: %s%s%s", config_file,
             certificate->config->line, file, what, reason != NULL ? ": " : "",
             reason != NULL ? reason : "");
    ERR_clear_error();
    return false;
}

static X509 *read_certificate(BIO *file, OSSL_LIB_CTX *library)
{
    X509 *certificate = X509_new_ex(library, IMMURE_OPENSSL_PROPERTIES);
    if (certificate != NULL && PEM_read_bio_X509(file, &certificate, NULL, NULL) != NULL)
        return certificate;
    X509_free(certificate);
    return NULL;
}

/* OpenSSL reports the end of a PEM file as PEM_R_NO_START_LINE. */
static bool at_end_of_file(void)
{
    bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (end)
        ERR_clear_error();
    return end;
}

static bool read_chain(struct tls_certificate *certificate, const char *config_file,
                       OSSL_LIB_CTX *library, struct conf_error *error)
{
    const struct certificate_config *config = certificate->config;
    BIO *file = BIO_new_mem_buf(config->chain_bytes, (int)config->chain_length);
    if (file == NULL)
        return fail(certificate, config_file, config->chain, "out of memory", error);
    certificate->leaf = read_certificate(file, library);
    certificate->chain = sk_X509_new_null();
    bool good = certificate->leaf != NULL && certificate->chain != NULL;
    while (good) {
        X509 *next = read_certificate(file, library);
        if (next == NULL) {
            good = at_end_of_file();
            break;
        }
        good = sk_X509_push(certificate->chain, next) > 0;
    }
    BIO_free(file);
    return good ||
           fail(certificate, config_file, config->chain, "not a PEM certificate chain", error);
}

static bool set_kind(struct tls_certificate *certificate)
{
    static const struct {
        const char *name; /* OpenSSL's name of the key type */
        enum certificate_kind kind;
    } kinds[] = {{"RSA", CERTIFICATE_RSA},
                 {"RSA-PSS", CERTIFICATE_RSA_PSS},
                 {"EC", CERTIFICATE_EC},
                 {"ED25519", CERTIFICATE_ED25519}};
    const EVP_PKEY *key = X509_get0_pubkey(certificate->leaf);
    for (size_t i = 0; key != NULL && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (EVP_PKEY_is_a(key, kinds[i].name)) {
            certificate->kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

/* The pass-phrase is the first line of a file; without one, a key that needs it is an error (and
 * never a prompt on the terminal). */
static int read_pass_phrase(char *phrase, int size, int writing, void *argument)
{
    (void)writing;
    const char *path = argument;
    FILE *file = path != NULL ? fopen(path, "r") : NULL;
    if (file == NULL)
        return -1;
    char *line = fgets(phrase, size, file);
    fclose(file);
    if (line == NULL)
        return -1;
    phrase[strcspn(phrase, "\r\n")] = '\0';
    return (int)strlen(phrase);
}

static EVP_PKEY *read_private_key(const struct certificate_config *config, OSSL_LIB_CTX *library)
{
    BIO *file = BIO_new_file(config->key, "r");
    EVP_PKEY *key = NULL;
    if (file != NULL)
        key = PEM_read_bio_PrivateKey_ex(file, NULL, read_pass_phrase, config->pass_phrase_file,
                                         library, IMMURE_OPENSSL_PROPERTIES);
    BIO_free(file);
    return key;
}

static bool set_key(struct tls_certificate *certificate, const char *config_file,
                    enum signing_mode mode, OSSL_LIB_CTX *library, struct conf_error *error)
{
    const struct certificate_config *config = certificate->config;
    uint8_t *spki = NULL;
    int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate->leaf), &spki);
    if (length <= 0 ||
        !EVP_Q_digest(library, "SHA256", NULL, spki, (size_t)length, certificate->key_id, NULL)) {
        OPENSSL_free(spki);
        return fail(certificate, config_file, config->chain, "has no usable public key", error);
    }
    certificate->key = mode == SIGNING_IN_PROCESS
                           ? read_private_key(config, library)
                           : immure_openssl_key(library, spki, (size_t)length);
    OPENSSL_free(spki);
    if (certificate->key == NULL)
        return fail(certificate, config_file,
                    mode == SIGNING_IN_PROCESS ? config->key : config->chain,
                    "the key cannot be loaded", error);
    if (X509_check_private_key(certificate->leaf, certificate->key) != 1)
        return fail(certificate, config_file, config->key, "is not the key of the certificate",
                    error);
    return true;
}

static bool add_text(struct tls_certificate *certificate, const unsigned char *bytes, size_t length)
{
    char **names = reallocarray(certificate->names, certificate->name_count + 1, sizeof *names);
    if (names == NULL)
        return false;
    certificate->names = names;
    char *name = malloc(length + 1);
    if (name == NULL)
        return false;
    for (size_t i = 0; i < length; i++)
        name[i] = (char)tolower(bytes[i]);
    name[length] = '\0';
    names[certificate->name_count++] = name;
    return true;
}

static bool add_name(struct tls_certificate *certificate, const ASN1_STRING *text)
{
    size_t length = (size_t)ASN1_STRING_length(text);
    const unsigned char *bytes = ASN1_STRING_get0_data(text);
    return length == 0 || memchr(bytes, '\0', length) != NULL || /* SNI could not carry it */
           add_text(certificate, bytes, length);
}

static bool add_address(struct tls_certificate *certificate, const ASN1_OCTET_STRING *address)
{
    char text[sizeof STORE_ADDRESS_PREFIX + INET6_ADDRSTRLEN] = STORE_ADDRESS_PREFIX;
    size_t length = strlen(text), size = (size_t)ASN1_STRING_length(address);
    int family = size == sizeof(struct in_addr)    ? AF_INET
                 : size == sizeof(struct in6_addr) ? AF_INET6
                                                   : AF_UNSPEC;
    return family == AF_UNSPEC ||
           inet_ntop(family, ASN1_STRING_get0_data(address), text + length,
                     (socklen_t)(sizeof text - length)) == NULL ||
           add_text(certificate, (const unsigned char *)text, strlen(text));
}

static bool add_addresses(struct tls_certificate *certificate, GENERAL_NAMES *names)
{
    bool good = true;
    for (int i = 0; good && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_IPADD)
            good = add_address(certificate, name->d.iPAddress);
    }
    return good;
}

static bool add_common_name(struct tls_certificate *certificate)
{
    X509_NAME *subject = X509_get_subject_name(certificate->leaf);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    return at < 0 ||
           add_name(certificate, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static bool hash_names(struct tls_certificate *certificate, OSSL_LIB_CTX *library)
{
    EVP_MD *sha256 = EVP_MD_fetch(library, "SHA256", NULL);
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool good = sha256 != NULL && hash != NULL && EVP_DigestInit_ex2(hash, sha256, NULL) == 1;
    for (size_t i = 0; good && i < certificate->name_count; i++)
        good =
            EVP_DigestUpdate(hash, certificate->names[i], strlen(certificate->names[i]) + 1) == 1;
    good = good && EVP_DigestFinal_ex(hash, certificate->names_hash, NULL) == 1;
    EVP_MD_CTX_free(hash);
    EVP_MD_free(sha256);
    return good;
}

/* RFC 6125: the common name counts only where there is no DNS name. */
static bool set_names(struct tls_certificate *certificate)
{
    bool good = true;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate->leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; good && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            good = add_name(certificate, name->d.dNSName);
    }
    if (good && certificate->name_count == 0)
        good = add_common_name(certificate);
    good = good && add_addresses(certificate, names);
    GENERAL_NAMES_free(names);
    return good;
}

bool certificate_load(struct tls_certificate *certificate, const struct certificate_config *config,
                      const char *config_file, enum signing_mode mode, OSSL_LIB_CTX *library,
                      struct conf_error *error)
{
    certificate->config = config;
    ERR_clear_error();
    if (!read_chain(certificate, config_file, library, error))
        return false;
    if (!set_kind(certificate))
        return fail(certificate, config_file, config->chain,
                    "its key is none of RSA, RSA-PSS, EC and Ed25519", error);
    if (!set_key(certificate, config_file, mode, library, error))
        return false;
    if (!set_names(certificate) || !hash_names(certificate, library))
        return fail(certificate, config_file, config->chain, "out of memory", error);
    return true;
}

void certificate_unload(struct tls_certificate *certificate)
{
    for (size_t i = 0; i < certificate->name_count; i++)
        free(certificate->names[i]);
    free(certificate->names);
    EVP_PKEY_free(certificate->key);
    sk_X509_pop_free(certificate->chain, X509_free);
    X509_free(certificate->leaf);
}

bool certificate_try(const struct tls_certificate *certificate, SSL_CTX *trial,
                     const char *config_file, struct conf_error *error)
{
    return SSL_CTX_use_cert_and_key(trial, certificate->leaf, certificate->key, certificate->chain,
                                    1) == 1 ||
           fail(certificate, config_file, certificate->config->chain, "OpenSSL refuses it", error);
}

void certificate_key_type(const struct tls_certificate *certificate, char *text, size_t size)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate->leaf);
    char group[32] = "EC";
    switch (certificate->kind) {
    case CERTIFICATE_RSA_PSS:
        snprintf(text, size, "RSA-PSS-%d", EVP_PKEY_get_bits(key));
        break;
    case CERTIFICATE_RSA:
        snprintf(text, size, "RSA-%d", EVP_PKEY_get_bits(key));
        break;
    case CERTIFICATE_EC:
        EVP_PKEY_get_group_name(key, group, sizeof group, NULL);
        snprintf(text, size, "%s",
                 strcmp(group, "prime256v1") == 0  ? "P-256"
                 : strcmp(group, "secp384r1") == 0 ? "P-384"
                 : strcmp(group, "secp521r1") == 0 ? "P-521"
                                                   : group);
        break;
    default:
        snprintf(text, size, "Ed25519");
    }
}

uint64_t certificate_not_after(const struct tls_certificate *certificate)
{
    struct tm utc;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate->leaf), &utc) != 1)
        return 0;
    time_t seconds = timegm(&utc);
    return seconds > 0 ? (uint64_t)seconds : 0;
}
