#include "proxy/worker/route/client_check.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <string.h>

#include "proxy/worker/route/sessions.h"
#include "proxy/worker/transport/proxy_tlv.h"

/* An exponent of RSA may be as long as the modulus, and then a verification costs as much as a
 * signature; all that are in use have at most 33 bits. */
#define RSA_BITS_MAX 4096
#define RSA_EXPONENT_BITS_MAX 33

/* ---- what is asked for ---- */

/* Of the signatures that clients may make, those that cost little to verify. The first list that
 * this libssl understands is used. */
#define CLASSIC_SCHEMES                                                                            \
    "ecdsa_secp256r1_sha256:ed25519:rsa_pss_rsae_sha256:rsa_pss_pss_sha256:rsa_pkcs1_sha256:"      \
    "ecdsa_secp384r1_sha384:rsa_pss_rsae_sha384:rsa_pss_pss_sha384:rsa_pkcs1_sha384:"              \
    "ecdsa_secp521r1_sha512:rsa_pss_rsae_sha512:rsa_pss_pss_sha512:rsa_pkcs1_sha512"
static const char *const schemes[] = {"mldsa44:mldsa65:mldsa87:" CLASSIC_SCHEMES, CLASSIC_SCHEMES};

static bool use_schemes(SSL_CTX *context)
{
    bool good = false;
    for (size_t i = 0; !good && i < sizeof schemes / sizeof schemes[0]; i++)
        good = SSL_CTX_set1_client_sigalgs_list(context, schemes[i]) == 1;
    ERR_clear_error();
    return good;
}

static int verify_mode(const struct client_check *check)
{
    static const int modes[] = {[CLIENT_CERTIFICATE_NONE] = SSL_VERIFY_NONE,
                                [CLIENT_CERTIFICATE_OPTIONAL] = SSL_VERIFY_PEER,
                                [CLIENT_CERTIFICATE_REQUIRED] =
                                    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT};
    return check->authority != NULL ? modes[check->config->wanted] : SSL_VERIFY_NONE;
}

void client_check_take_over(const struct client_check *check, SSL *ssl)
{
    SSL_set_verify(ssl, verify_mode(check), NULL);
}

/* ---- bounds ---- */

static bool rsa_is_bounded(const EVP_PKEY *key)
{
    BIGNUM *exponent = NULL;
    bool bounded = EVP_PKEY_get_bits(key) <= RSA_BITS_MAX &&
                   EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 &&
                   BN_num_bits(exponent) <= RSA_EXPONENT_BITS_MAX;
    BN_free(exponent);
    return bounded;
}

static bool ec_is_bounded(const EVP_PKEY *key)
{
    static const char *const groups[] = {"prime256v1", "secp384r1", "secp521r1"};
    char group[64];
    int explicit = 1;
    if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit) !=
            1 ||
        explicit || EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1)
        return false;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        if (strcmp(group, groups[i]) == 0)
            return true;
    return false;
}

static bool always_bounded(const EVP_PKEY *key)
{
    (void)key;
    return true;
}

static bool key_is_bounded(const EVP_PKEY *key)
{
    static const struct {
        const char *type;
        bool (*bounded)(const EVP_PKEY *key);
    } types[] = {{"EC", ec_is_bounded},         {"RSA", rsa_is_bounded},
                 {"RSA-PSS", rsa_is_bounded},   {"ED25519", always_bounded},
                 {"ML-DSA-44", always_bounded}, {"ML-DSA-65", always_bounded},
                 {"ML-DSA-87", always_bounded}};
    for (size_t i = 0; key != NULL && i < sizeof types / sizeof types[0]; i++)
        if (EVP_PKEY_is_a(key, types[i].type))
            return types[i].bounded(key);
    return false;
}

/* What is wrong with the certificates that a client has sent, before any signature is verified;
 * NULL: nothing. */
static const char *excess(const struct client_check *check, STACK_OF(X509) * sent, int *error)
{
    *error = X509_V_ERR_CERT_CHAIN_TOO_LONG;
    if (sk_X509_num(sent) > (int)check->config->depth + 2)
        return "it came with more certificates than client-depth allows";
    *error = X509_V_ERR_CERT_REJECTED;
    if (i2d_X509(sk_X509_value(sent, 0), NULL) > CLIENT_CERTIFICATE_MAX)
        return "it is too long";
    for (int i = 0; i < sk_X509_num(sent); i++)
        if (!key_is_bounded(X509_get0_pubkey(sk_X509_value(sent, i))))
            return "a key in its chain is of a kind or size that is not accepted from clients";
    return NULL;
}

/* ---- verification ---- */

/* The time at which the first certificate of a verified chain expires. */
static int64_t first_end(STACK_OF(X509) * chain)
{
    int64_t until = INT64_MAX;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        int64_t end = authority_seconds(X509_get0_notAfter(sk_X509_value(chain, i)));
        until = end < until ? end : until;
    }
    return until;
}

/* Returns X509_V_OK, or what keeps the certificate from being accepted; then *reason says it. */
static int verify(const struct client_check *check, X509_STORE_CTX *verification, SSL *ssl,
                  const char **reason)
{
    int error;
    *reason = excess(check, X509_STORE_CTX_get0_untrusted(verification), &error);
    if (*reason != NULL)
        return error;
    X509_VERIFY_PARAM_set_depth(X509_STORE_CTX_get0_param(verification), (int)check->config->depth);
    bool good = X509_verify_cert(verification) == 1;
    error = X509_STORE_CTX_get_error(verification);
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(verification);
    int64_t until = first_end(chain);
    if (good)
        error = authority_look_up(check->authority, chain, &until);
    else if (error == X509_V_OK)
        error = X509_V_ERR_UNSPECIFIED;
    if (error == X509_V_OK && !sessions_bind(ssl, until))
        error = X509_V_ERR_OUT_OF_MEM;
    *reason = X509_verify_cert_error_string(error);
    return error;
}

/* libssl calls this in place of X509_verify_cert(3). */
static int answer(X509_STORE_CTX *verification, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx());
    const struct client_check *check = arg;
    const char *reason;
    int error = verify(check, verification, ssl, &reason);
    X509_STORE_CTX_set_error(verification, error);
    if (error != X509_V_OK)
        check->refused(ssl, X509_STORE_CTX_get0_cert(verification), reason);
    return error == X509_V_OK;
}

bool client_check_use(const struct client_check *check, SSL_CTX *context)
{
    if (check->authority == NULL)
        return true;
    STACK_OF(X509_NAME) *names =
        check->config->tells_names ? authority_names(check->authority) : sk_X509_NAME_new_null();
    if (names == NULL)
        return false;
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, verify_mode(check), NULL);
    SSL_CTX_set_cert_verify_callback(context, answer, (void *)check);
    return SSL_CTX_set1_verify_cert_store(context, check->store) == 1 && use_schemes(context);
}
