#define OPENSSL_SUPPRESS_DEPRECATED /* engines, and the key structs that they use */
#include "keyd/driver/provider/engine.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#ifndef OPENSSL_NO_ENGINE

#define POINT_MAX 133 /* uncompressed, on P-521 */

/* Finds the engine by its id, in OpenSSL's own directory, or by the path of its file. */
static ENGINE *find(const char *name)
{
    OPENSSL_init_crypto(OPENSSL_INIT_ENGINE_DYNAMIC, NULL);
    if (strchr(name, '/') == NULL)
        return ENGINE_by_id(name);
    ENGINE *engine = ENGINE_by_id("dynamic");
    if (engine != NULL && ENGINE_ctrl_cmd_string(engine, "SO_PATH", name, 0) &&
        ENGINE_ctrl_cmd_string(engine, "LOAD", NULL, 0))
        return engine;
    ENGINE_free(engine);
    return NULL;
}

/* Runs "NAME=VALUE", or "NAME" for a command without a value. */
static bool command(ENGINE *engine, const char *parameter)
{
    char *name = strdup(parameter), *value = name != NULL ? strchr(name, '=') : NULL;
    if (value != NULL)
        *value++ = '\0';
    bool good = name != NULL && ENGINE_ctrl_cmd_string(engine, name, value, 0) > 0;
    free(name);
    return good;
}

ENGINE *engine_open(const struct provider_config *config)
{
    ENGINE *engine = find(config->engine);
    bool good = engine != NULL;
    for (size_t i = 0; good && i < config->parameters.count; i++) {
        good = command(engine, config->parameters.texts[i]);
        if (!good)
            ERR_add_error_data(2, "parameter ", config->parameters.texts[i]);
    }
    if (good && ENGINE_init(engine))
        return engine;
    ENGINE_free(engine);
    return NULL;
}

void engine_close(ENGINE *engine)
{
    if (engine == NULL)
        return;
    ENGINE_finish(engine);
    ENGINE_free(engine);
}

bool engine_restart(ENGINE *engine)
{
    /* ENGINE_finish() would have no effect while the engine keeps keys, which hold references */
    ENGINE_GEN_INT_FUNC_PTR finish = ENGINE_get_finish_function(engine);
    ENGINE_GEN_INT_FUNC_PTR init = ENGINE_get_init_function(engine);
    return (finish == NULL || finish(engine) == 1) && (init == NULL || init(engine) == 1);
}

EVP_PKEY *engine_find_key(ENGINE *engine, const char *uri, UI_METHOD *ui, void *ui_data)
{
    return ENGINE_load_private_key(engine, uri, ui, ui_data);
}

void engine_poll(ENGINE *engine, bool health)
{
    int status = 0;
    if (health)
        ENGINE_ctrl_cmd(engine, "HEARTBEAT_POLL", 0, &status, NULL, 0);
    ENGINE_ctrl_cmd(engine, "POLL", 0, &status, NULL, 0);
}

/* Some engines start without a device, and then silently sign in software. */
static bool has_device(ENGINE *engine)
{
    static const char count_command[] = "GET_NUM_CRYPTO_INSTANCES";
    int count = 0;
    if (ENGINE_ctrl(engine, ENGINE_CTRL_GET_CMD_FROM_NAME, 0, (void *)count_command, NULL) <= 0)
        return true;
    if (ENGINE_ctrl_cmd(engine, count_command, 0, &count, NULL, 0) > 0 && count > 0)
        return true;
    ERR_raise_data(ERR_LIB_ENGINE, ERR_R_INIT_FAIL, "the engine has no device");
    return false;
}

static BIGNUM *number(const EVP_PKEY *pair, const char *name)
{
    BIGNUM *value = NULL;
    return EVP_PKEY_get_bn_param(pair, name, &value) ? value : NULL;
}

static bool rsa_copy(RSA *rsa, const EVP_PKEY *pair)
{
    return RSA_set0_key(rsa, number(pair, OSSL_PKEY_PARAM_RSA_N),
                        number(pair, OSSL_PKEY_PARAM_RSA_E), number(pair, OSSL_PKEY_PARAM_RSA_D)) &&
           RSA_set0_factors(rsa, number(pair, OSSL_PKEY_PARAM_RSA_FACTOR1),
                            number(pair, OSSL_PKEY_PARAM_RSA_FACTOR2)) &&
           RSA_set0_crt_params(rsa, number(pair, OSSL_PKEY_PARAM_RSA_EXPONENT1),
                               number(pair, OSSL_PKEY_PARAM_RSA_EXPONENT2),
                               number(pair, OSSL_PKEY_PARAM_RSA_COEFFICIENT1));
}

static bool rsa_assign(EVP_PKEY *result, ENGINE *engine, const EVP_PKEY *pair)
{
    RSA *rsa = RSA_new_method(engine);
    if (rsa != NULL && rsa_copy(rsa, pair) && EVP_PKEY_assign_RSA(result, rsa))
        return true;
    RSA_free(rsa);
    return false;
}

static bool ec_copy(EC_KEY *ec, const EVP_PKEY *pair)
{
    char curve[64];
    uint8_t point[POINT_MAX];
    size_t length;
    if (!EVP_PKEY_get_group_name(pair, curve, sizeof curve, NULL) ||
        !EVP_PKEY_get_octet_string_param(pair, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point,
                                         &length))
        return false;
    EC_GROUP *group = EC_GROUP_new_by_curve_name(OBJ_sn2nid(curve));
    BIGNUM *secret = number(pair, OSSL_PKEY_PARAM_PRIV_KEY);
    bool good = group != NULL && secret != NULL && EC_KEY_set_group(ec, group) &&
                EC_KEY_oct2key(ec, point, length, NULL) && EC_KEY_set_private_key(ec, secret);
    BN_clear_free(secret);
    EC_GROUP_free(group);
    return good;
}

static bool ec_assign(EVP_PKEY *result, ENGINE *engine, const EVP_PKEY *pair)
{
    EC_KEY *ec = EC_KEY_new_method(engine);
    if (ec != NULL && ec_copy(ec, pair) && EVP_PKEY_assign_EC_KEY(result, ec))
        return true;
    EC_KEY_free(ec);
    return false;
}

EVP_PKEY *engine_take_key(ENGINE *engine, const EVP_PKEY *pair)
{
    EVP_PKEY *result = has_device(engine) ? EVP_PKEY_new() : NULL;
    if (result != NULL && ((EVP_PKEY_is_a(pair, "RSA") && rsa_assign(result, engine, pair)) ||
                           (EVP_PKEY_is_a(pair, "EC") && ec_assign(result, engine, pair))))
        return result;
    EVP_PKEY_free(result);
    return NULL;
}

#else

ENGINE *engine_open(const struct provider_config *config)
{
    (void)config;
    ERR_raise_data(ERR_LIB_CRYPTO, ERR_R_UNSUPPORTED, "this OpenSSL has no engines");
    return NULL;
}

void engine_close(ENGINE *engine)
{
    (void)engine;
}

bool engine_restart(ENGINE *engine)
{
    (void)engine;
    return false;
}

void engine_poll(ENGINE *engine, bool health)
{
    (void)engine, (void)health;
}

EVP_PKEY *engine_find_key(ENGINE *engine, const char *uri, UI_METHOD *ui, void *ui_data)
{
    (void)engine, (void)uri, (void)ui, (void)ui_data;
    return NULL;
}

EVP_PKEY *engine_take_key(ENGINE *engine, const EVP_PKEY *pair)
{
    (void)engine, (void)pair;
    return NULL;
}

#endif
