#include "proxy/worker/route/chain_check.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

#define TLSEXT_STATUS_REQUEST 5 /* RFC 7633: the feature is the number of the TLS extension */

static unsigned check_times(const X509 *certificate)
{
    unsigned expired = X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0;
    unsigned early = X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0;
    return expired << CHAIN_EXPIRED | early << CHAIN_NOT_YET_VALID;
}

static bool must_staple(const X509 *leaf)
{
    TLS_FEATURE *features = X509_get_ext_d2i(leaf, NID_tlsfeature, NULL, NULL);
    bool found = false;
    for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++)
        found |= ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == TLSEXT_STATUS_REQUEST;
    TLS_FEATURE_free(features);
    return found;
}

unsigned chain_check(X509 *leaf, STACK_OF(X509) * chain)
{
    unsigned problems = check_times(leaf) | (unsigned)must_staple(leaf) << CHAIN_MUST_STAPLE;
    X509 *below = leaf;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *certificate = sk_X509_value(chain, i);
        problems |= check_times(certificate);
        if (X509_check_issued(certificate, below) != X509_V_OK)
            problems |= 1u << CHAIN_MISORDERED;
        below = certificate;
    }
    ERR_clear_error();
    return problems;
}
