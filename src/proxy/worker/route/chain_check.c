#include "proxy/worker/route/chain_check.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>

#define TLSEXT_STATUS_REQUEST 5 /* RFC 7633: the feature is the number of the TLS extension */

const char *const chain_problem_names[CHAIN_PROBLEM_COUNT] = {[CHAIN_EXPIRED] = "expired",
                                                              [CHAIN_NOT_YET_VALID] =
                                                                  "not-yet-valid",
                                                              [CHAIN_MISORDERED] = "misordered",
                                                              [CHAIN_MUST_STAPLE] = "must-staple",
                                                              [CHAIN_NO_KEY] = "no-key"};

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

static void print_time(const ASN1_TIME *time, char *text, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int length =
        bio != NULL && ASN1_TIME_print(bio, time) == 1 ? BIO_read(bio, text, (int)size - 1) : 0;
    text[length > 0 ? length : 0] = '\0';
    BIO_free(bio);
}

void chain_problem_describe(enum chain_problem problem, X509 *leaf, char *text, size_t size)
{
    char when[64];
    switch (problem) {
    case CHAIN_EXPIRED:
        print_time(X509_get0_notAfter(leaf), when, sizeof when);
        snprintf(text, size, "it, or one above it, has expired; its own validity ends on %s", when);
        break;
    case CHAIN_NOT_YET_VALID:
        print_time(X509_get0_notBefore(leaf), when, sizeof when);
        snprintf(text, size, "it, or one above it, is not valid yet; its own validity begins on %s",
                 when);
        break;
    case CHAIN_MISORDERED:
        snprintf(text, size,
                 "a certificate in it is not issued by the one that follows; many clients refuse "
                 "such a chain");
        break;
    default:
        snprintf(text, size,
                 "it asks for a stapled OCSP response, which is not served; some clients refuse "
                 "it");
    }
}
