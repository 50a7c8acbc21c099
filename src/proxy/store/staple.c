#include "proxy/store/staple.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <string.h>
#include <time.h>

/* The name of the issuer and the serial number identify a certificate. */
static bool is_about(const OCSP_SINGLERESP *single, X509 *leaf)
{
    ASN1_OCTET_STRING *issuer;
    ASN1_OBJECT *algorithm;
    ASN1_INTEGER *serial;
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned size;
    OCSP_id_get0_info(&issuer, &algorithm, NULL, &serial,
                      (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single));
    const EVP_MD *digest = EVP_get_digestbyobj(algorithm);
    return digest != NULL &&
           X509_NAME_digest(X509_get_issuer_name(leaf), digest, hash, &size) == 1 &&
           ASN1_STRING_length(issuer) == (int)size &&
           memcmp(ASN1_STRING_get0_data(issuer), hash, size) == 0 &&
           ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) == 0;
}

static bool read_time(const ASN1_GENERALIZEDTIME *time, int64_t *seconds)
{
    struct tm utc;
    if (time == NULL || ASN1_TIME_to_tm(time, &utc) != 1)
        return false;
    *seconds = timegm(&utc);
    return true;
}

static bool find(OCSP_BASICRESP *basic, X509 *leaf, int64_t *begins, int64_t *ends)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        ASN1_GENERALIZEDTIME *from, *until;
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        if (!is_about(single, leaf))
            continue;
        *ends = INT64_MAX; /* newer information is available at any time */
        return OCSP_single_get0_status(single, NULL, NULL, &from, &until) ==
                   V_OCSP_CERTSTATUS_GOOD &&
               read_time(from, begins) && (until == NULL || read_time(until, ends));
    }
    return false;
}

bool staple_read(const uint8_t *response, size_t length, const uint8_t *leaf, size_t leaf_length,
                 int64_t *begins, int64_t *ends)
{
    const uint8_t *next = response;
    OCSP_RESPONSE *whole = d2i_OCSP_RESPONSE(NULL, &next, (long)length);
    OCSP_BASICRESP *basic = whole != NULL ? OCSP_response_get1_basic(whole) : NULL;
    X509 *certificate = d2i_X509(NULL, &leaf, (long)leaf_length);
    bool good = basic != NULL && certificate != NULL && next == response + length &&
                find(basic, certificate, begins, ends);
    X509_free(certificate);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(whole);
    ERR_clear_error();
    return good;
}
