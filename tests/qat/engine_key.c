#include "engine_key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <stdbool.h>

static BIGNUM *number(const EVP_PKEY *key, const char *name)
{
    BIGNUM *value = NULL;
    return EVP_PKEY_get_bn_param(key, name, &value) ? value : NULL;
}

static bool rsa_copy(RSA *rsa, const EVP_PKEY *key)
{
    return RSA_set0_key(rsa, number(key, OSSL_PKEY_PARAM_RSA_N), number(key, OSSL_PKEY_PARAM_RSA_E),
                        number(key, OSSL_PKEY_PARAM_RSA_D)) &&
           RSA_set0_factors(rsa, number(key, OSSL_PKEY_PARAM_RSA_FACTOR1),
                            number(key, OSSL_PKEY_PARAM_RSA_FACTOR2)) &&
           RSA_set0_crt_params(rsa, number(key, OSSL_PKEY_PARAM_RSA_EXPONENT1),
                               number(key, OSSL_PKEY_PARAM_RSA_EXPONENT2),
                               number(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1));
}

static bool ec_copy(EC_KEY *ec, const EVP_PKEY *key)
{
    char curve[64];
    unsigned char point[256];
    size_t length;
    if (!EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL) ||
        !EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point,
                                         &length))
        return false;
    EC_GROUP *group = EC_GROUP_new_by_curve_name(OBJ_sn2nid(curve));
    BIGNUM *d = number(key, OSSL_PKEY_PARAM_PRIV_KEY);
    bool good = group != NULL && d != NULL && EC_KEY_set_group(ec, group) &&
                EC_KEY_oct2key(ec, point, length, NULL) && EC_KEY_set_private_key(ec, d);
    BN_clear_free(d);
    EC_GROUP_free(group);
    return good;
}

static bool assign_rsa(EVP_PKEY *result, ENGINE *engine, const EVP_PKEY *key)
{
    RSA *rsa = RSA_new_method(engine);
    if (rsa != NULL && rsa_copy(rsa, key) && EVP_PKEY_assign_RSA(result, rsa))
        return true;
    RSA_free(rsa);
    return false;
}

static bool assign_ec(EVP_PKEY *result, ENGINE *engine, const EVP_PKEY *key)
{
    EC_KEY *ec = EC_KEY_new_method(engine);
    if (ec != NULL && ec_copy(ec, key) && EVP_PKEY_assign_EC_KEY(result, ec))
        return true;
    EC_KEY_free(ec);
    return false;
}

EVP_PKEY *engine_key(ENGINE *engine, const EVP_PKEY *key)
{
    EVP_PKEY *result = EVP_PKEY_new();
    bool good = result != NULL && (EVP_PKEY_is_a(key, "RSA") ? assign_rsa(result, engine, key)
                                                             : assign_ec(result, engine, key));
    if (good)
        return result;
    EVP_PKEY_free(result);
    return NULL;
}
