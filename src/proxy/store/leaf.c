#include "proxy/store/leaf.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TLSEXT_STATUS_REQUEST 5 /* RFC 7633: the feature is the number of the TLS extension */

/* RFC 5280, section 4.1. ASN1_ANY leaves a SEQUENCE as it is encoded. */
struct certificate_body {
    ASN1_INTEGER *version, *serial;
    X509_ALGOR *signature;
    ASN1_TYPE *issuer;
    X509_VAL *validity;
    ASN1_TYPE *subject, *key;
    ASN1_BIT_STRING *issuer_id, *subject_id;
    STACK_OF(X509_EXTENSION) * extensions;
};
ASN1_SEQUENCE(certificate_body) =
    {
        ASN1_EXP_OPT(struct certificate_body, version, ASN1_INTEGER, 0),
        ASN1_SIMPLE(struct certificate_body, serial, ASN1_INTEGER),
        ASN1_SIMPLE(struct certificate_body, signature, X509_ALGOR),
        ASN1_SIMPLE(struct certificate_body, issuer, ASN1_ANY),
        ASN1_SIMPLE(struct certificate_body, validity, X509_VAL),
        ASN1_SIMPLE(struct certificate_body, subject, ASN1_ANY),
        ASN1_SIMPLE(struct certificate_body, key, ASN1_ANY),
        ASN1_IMP_OPT(struct certificate_body, issuer_id, ASN1_BIT_STRING, 1),
        ASN1_IMP_OPT(struct certificate_body, subject_id, ASN1_BIT_STRING, 2),
        ASN1_EXP_SEQUENCE_OF_OPT(struct certificate_body, extensions, X509_EXTENSION, 3),
} static_ASN1_SEQUENCE_END_name(struct certificate_body, certificate_body)

        struct certificate_data {
    struct certificate_body *body;
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *signature;
};
ASN1_SEQUENCE(certificate_data) =
    {
        ASN1_SIMPLE(struct certificate_data, body, certificate_body),
        ASN1_SIMPLE(struct certificate_data, algorithm, X509_ALGOR),
        ASN1_SIMPLE(struct certificate_data, signature, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END_name(struct certificate_data, certificate_data)

        struct public_key {
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *key;
};
ASN1_SEQUENCE(public_key) =
    {
        ASN1_SIMPLE(struct public_key, algorithm, X509_ALGOR),
        ASN1_SIMPLE(struct public_key, key, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END_name(struct public_key, public_key)

        const char *
    leaf_error_text(enum leaf_error error)
{
    static const char *const texts[] = {
        [LEAF_OK] = "no error",
        [LEAF_MALFORMED] = "not a PEM certificate chain",
        [LEAF_KEY_UNKNOWN] = "its key is none of RSA, RSA-PSS, EC, Ed25519 and ML-DSA",
        [LEAF_OUT_OF_MEMORY] = "out of memory"};
    return texts[error];
}

/* ---- the key ---- */

static void name_ec(const struct public_key *key, char *text, size_t size)
{
    int type;
    const void *value;
    X509_ALGOR_get0(NULL, &type, &value, key->algorithm);
    int group = type == V_ASN1_OBJECT ? OBJ_obj2nid(value) : NID_undef;
    snprintf(text, size, "%s",
             group == NID_X9_62_prime256v1 ? "P-256"
             : group == NID_secp384r1      ? "P-384"
             : group == NID_secp521r1      ? "P-521"
             : group != NID_undef          ? OBJ_nid2sn(group)
                                           : "EC");
}

/* RFC 8017, appendix A.1.1: the modulus comes first. */
static int modulus_bits(const struct public_key *key)
{
    const unsigned char *der = ASN1_STRING_get0_data(key->key);
    STACK_OF(ASN1_TYPE) *numbers = d2i_ASN1_SEQUENCE_ANY(NULL, &der, ASN1_STRING_length(key->key));
    const ASN1_TYPE *modulus = sk_ASN1_TYPE_value(numbers, 0);
    BIGNUM *number = modulus != NULL && modulus->type == V_ASN1_INTEGER
                         ? ASN1_INTEGER_to_BN(modulus->value.integer, NULL)
                         : NULL;
    int bits = number != NULL ? BN_num_bits(number) : 0;
    BN_free(number);
    sk_ASN1_TYPE_pop_free(numbers, ASN1_TYPE_free);
    return bits;
}

static const struct key_algorithm {
    const char *identifier; /* of the AlgorithmIdentifier */
    const char *name;       /* libcrypto's, which an old one does not know; NULL: known by all */
    enum certificate_kind kind;
    const char *type;
} key_algorithms[] = {{"1.2.840.113549.1.1.1", NULL, CERTIFICATE_RSA, "RSA"},
                      {"1.2.840.113549.1.1.10", NULL, CERTIFICATE_RSA_PSS, "RSA-PSS"},
                      {"1.2.840.10045.2.1", NULL, CERTIFICATE_EC, "EC"},
                      {"1.3.101.112", NULL, CERTIFICATE_ED25519, "Ed25519"},
                      {"2.16.840.1.101.3.4.3.17", "ML-DSA-44", CERTIFICATE_ML_DSA, "ML-DSA-44"},
                      {"2.16.840.1.101.3.4.3.18", "ML-DSA-65", CERTIFICATE_ML_DSA, "ML-DSA-65"},
                      {"2.16.840.1.101.3.4.3.19", "ML-DSA-87", CERTIFICATE_ML_DSA, "ML-DSA-87"}};

static bool is_supported(const struct key_algorithm *algorithm)
{
    if (algorithm->name == NULL)
        return true;
    EVP_SIGNATURE *signature = EVP_SIGNATURE_fetch(NULL, algorithm->name, NULL);
    EVP_SIGNATURE_free(signature);
    return signature != NULL;
}

static bool set_kind(struct leaf *leaf, const struct public_key *key)
{
    char identifier[64];
    const ASN1_OBJECT *object;
    X509_ALGOR_get0(&object, NULL, NULL, key->algorithm);
    OBJ_obj2txt(identifier, sizeof identifier, object, 1);
    for (size_t i = 0; i < sizeof key_algorithms / sizeof *key_algorithms; i++) {
        const struct key_algorithm *algorithm = &key_algorithms[i];
        if (strcmp(algorithm->identifier, identifier) != 0)
            continue;
        leaf->kind = algorithm->kind;
        if (leaf->kind == CERTIFICATE_EC)
            name_ec(key, leaf->key_type, sizeof leaf->key_type);
        else if (leaf->kind == CERTIFICATE_RSA || leaf->kind == CERTIFICATE_RSA_PSS)
            snprintf(leaf->key_type, sizeof leaf->key_type, "%s-%d", algorithm->type,
                     modulus_bits(key));
        else
            snprintf(leaf->key_type, sizeof leaf->key_type, "%s", algorithm->type);
        return is_supported(algorithm);
    }
    return false;
}

static enum leaf_error take_key(struct leaf *leaf)
{
    const ASN1_TYPE *encoded = leaf->data->body->key;
    if (encoded->type != V_ASN1_SEQUENCE)
        return LEAF_MALFORMED;
    const unsigned char *der = ASN1_STRING_get0_data(encoded->value.sequence);
    leaf->key_length = (size_t)ASN1_STRING_length(encoded->value.sequence);
    const uint8_t *place = memmem(leaf->der, leaf->length, der, leaf->key_length);
    if (place == NULL)
        return LEAF_MALFORMED;
    leaf->key_offset = (size_t)(place - leaf->der);
    struct public_key *key = (struct public_key *)ASN1_item_d2i(NULL, &der, (long)leaf->key_length,
                                                                ASN1_ITEM_rptr(public_key));
    if (key == NULL)
        return LEAF_MALFORMED;
    bool known = set_kind(leaf, key);
    ASN1_item_free((ASN1_VALUE *)key, ASN1_ITEM_rptr(public_key));
    return known ? LEAF_OK : LEAF_KEY_UNKNOWN;
}

/* ---- names ---- */

static bool add_name(struct leaf *leaf, const char *prefix, const void *bytes, size_t length)
{
    size_t before = strlen(prefix);
    if (length == 0 || length > STORE_NAME_MAX || memchr(bytes, '\0', length) != NULL ||
        leaf->names_length > LEAF_NAMES_MAX)
        return true; /* not a name that SNI could carry */
    char *names = realloc(leaf->names, leaf->names_length + before + length + 1);
    if (names == NULL)
        return false;
    leaf->names = names;
    char *name = names + leaf->names_length;
    memcpy(name, prefix, before);
    for (size_t i = 0; i < length; i++)
        name[before + i] = (char)tolower(((const unsigned char *)bytes)[i]);
    name[before + length] = '\0';
    leaf->names_length += before + length + 1;
    leaf->name_count++;
    return true;
}

static bool add_address(struct leaf *leaf, const ASN1_OCTET_STRING *address)
{
    char text[INET6_ADDRSTRLEN];
    int length = ASN1_STRING_length(address);
    int family = length == sizeof(struct in_addr)    ? AF_INET
                 : length == sizeof(struct in6_addr) ? AF_INET6
                                                     : AF_UNSPEC;
    return inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof text) == NULL ||
           add_name(leaf, STORE_ADDRESS_PREFIX, text, strlen(text));
}

/* Calls back for each name of this type. */
static bool add_names(struct leaf *leaf, const GENERAL_NAMES *names, int type)
{
    bool good = true;
    for (int i = 0; good && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == type && type == GEN_DNS)
            good = add_name(leaf, "", ASN1_STRING_get0_data(name->d.dNSName),
                            (size_t)ASN1_STRING_length(name->d.dNSName));
        else if (name->type == type)
            good = add_address(leaf, name->d.iPAddress);
    }
    return good;
}

static X509_NAME *decode_name(const ASN1_TYPE *encoded)
{
    if (encoded->type != V_ASN1_SEQUENCE)
        return NULL;
    const unsigned char *der = ASN1_STRING_get0_data(encoded->value.sequence);
    return d2i_X509_NAME(NULL, &der, ASN1_STRING_length(encoded->value.sequence));
}

static bool add_common_name(struct leaf *leaf)
{
    X509_NAME *subject = decode_name(leaf->data->body->subject);
    int at = subject != NULL ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1) : -1;
    const ASN1_STRING *text =
        at >= 0 ? X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)) : NULL;
    bool good = text == NULL ||
                add_name(leaf, "", ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
    X509_NAME_free(subject);
    return good;
}

static void *decode_extension(const struct leaf *leaf, int nid)
{
    return X509V3_get_d2i(leaf->data->body->extensions, nid, NULL, NULL);
}

/* RFC 6125: the common name counts only where there is no DNS name. */
static bool set_names(struct leaf *leaf)
{
    GENERAL_NAMES *names = decode_extension(leaf, NID_subject_alt_name);
    bool good = add_names(leaf, names, GEN_DNS) &&
                (leaf->name_count > 0 || add_common_name(leaf)) &&
                add_names(leaf, names, GEN_IPADD);
    GENERAL_NAMES_free(names);
    return good;
}

/* ---- the rest ---- */

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm utc;
    return ASN1_TIME_to_tm(time, &utc) == 1 ? timegm(&utc) : 0;
}

static bool must_staple(const struct leaf *leaf)
{
    TLS_FEATURE *features = decode_extension(leaf, NID_tlsfeature);
    bool found = false;
    for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++)
        found |= ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == TLSEXT_STATUS_REQUEST;
    TLS_FEATURE_free(features);
    return found;
}

enum leaf_error leaf_parse(struct leaf *leaf, const uint8_t *der, size_t length)
{
    const unsigned char *next = der;
    *leaf = (struct leaf){.der = der};
    leaf->data = (struct certificate_data *)ASN1_item_d2i(NULL, &next, (long)length,
                                                          ASN1_ITEM_rptr(certificate_data));
    if (leaf->data == NULL)
        return LEAF_MALFORMED;
    leaf->length = (size_t)(next - der);
    leaf->not_before = seconds_of(leaf->data->body->validity->notBefore);
    leaf->not_after = seconds_of(leaf->data->body->validity->notAfter);
    leaf->must_staple = must_staple(leaf);
    enum leaf_error error = take_key(leaf);
    if (error != LEAF_OK)
        return error;
    return set_names(leaf) ? LEAF_OK : LEAF_OUT_OF_MEMORY;
}

void leaf_free(struct leaf *leaf)
{
    ASN1_item_free((ASN1_VALUE *)leaf->data, ASN1_ITEM_rptr(certificate_data));
    free(leaf->names);
    leaf->data = NULL;
    leaf->names = NULL;
}

static bool has_issuer_name(const struct leaf *leaf, const X509 *issuer)
{
    const ASN1_TYPE *encoded = leaf->data->body->issuer;
    const unsigned char *der;
    size_t length;
    X509_NAME *subject = X509_get_subject_name(issuer);
    if (encoded->type == V_ASN1_SEQUENCE && X509_NAME_get0_der(subject, &der, &length) == 1 &&
        (size_t)ASN1_STRING_length(encoded->value.sequence) == length &&
        memcmp(ASN1_STRING_get0_data(encoded->value.sequence), der, length) == 0)
        return true;
    X509_NAME *name = decode_name(encoded);
    bool same = name != NULL && X509_NAME_cmp(name, subject) == 0;
    X509_NAME_free(name);
    return same;
}

static bool has_key_identifier(const struct leaf *leaf, X509 *issuer)
{
    const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(issuer);
    AUTHORITY_KEYID *wanted = decode_extension(leaf, NID_authority_key_identifier);
    bool good = own == NULL || wanted == NULL || wanted->keyid == NULL ||
                ASN1_OCTET_STRING_cmp(own, wanted->keyid) == 0;
    AUTHORITY_KEYID_free(wanted);
    return good;
}

bool leaf_issued_by(const struct leaf *leaf, X509 *issuer)
{
    return has_issuer_name(leaf, issuer) && has_key_identifier(leaf, issuer) &&
           (X509_get_key_usage(issuer) & KU_KEY_CERT_SIGN) != 0;
}
