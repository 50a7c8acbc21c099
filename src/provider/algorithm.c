#include "provider/algorithm.h"

#include <openssl/asn1.h>
#include <openssl/objects.h>
#include <openssl/params.h>
#include <openssl/x509.h>

#include "immure/scheme.h"

/* By name, because an older libcrypto has no number for some. */
static const struct {
    uint16_t scheme;
    const char *name;
    int parameters; /* RFC 4055: NULL; RFC 5758, RFC 8410, RFC 9881: absent */
} algorithms[] = {
    {IMMURE_RSA_PKCS1_SHA256, "RSA-SHA256", V_ASN1_NULL},
    {IMMURE_RSA_PKCS1_SHA384, "RSA-SHA384", V_ASN1_NULL},
    {IMMURE_RSA_PKCS1_SHA512, "RSA-SHA512", V_ASN1_NULL},
    {IMMURE_ECDSA_SHA256, "ecdsa-with-SHA256", V_ASN1_UNDEF},
    {IMMURE_ECDSA_SHA384, "ecdsa-with-SHA384", V_ASN1_UNDEF},
    {IMMURE_ECDSA_SHA512, "ecdsa-with-SHA512", V_ASN1_UNDEF},
    {IMMURE_ED25519, "ED25519", V_ASN1_UNDEF},
    {IMMURE_MLDSA44, "ML-DSA-44", V_ASN1_UNDEF},
    {IMMURE_MLDSA65, "ML-DSA-65", V_ASN1_UNDEF},
    {IMMURE_MLDSA87, "ML-DSA-87", V_ASN1_UNDEF},
};

bool algorithm_set_param(OSSL_PARAM *param, uint16_t scheme)
{
    size_t i = 0, count = sizeof algorithms / sizeof algorithms[0];
    while (i < count && algorithms[i].scheme != scheme)
        i++;
    ASN1_OBJECT *name = i < count ? OBJ_txt2obj(algorithms[i].name, 0) : NULL;
    X509_ALGOR *algorithm = X509_ALGOR_new();
    uint8_t *der = NULL;
    int length = 0;
    if (name != NULL && algorithm != NULL &&
        X509_ALGOR_set0(algorithm, name, algorithms[i].parameters, NULL)) {
        name = NULL; /* the algorithm's */
        length = i2d_X509_ALGOR(algorithm, &der);
    }
    bool set = length > 0 && OSSL_PARAM_set_octet_string(param, der, (size_t)length);
    OPENSSL_free(der);
    X509_ALGOR_free(algorithm);
    ASN1_OBJECT_free(name);
    return set;
}
