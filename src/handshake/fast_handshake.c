#include "handshake/fast_handshake.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/prov_ssl.h>
#include <openssl/provider.h>
#include <stdio.h>
#include <stdlib.h>

#include "handshake/instance.h"
#include "handshake/key_schedule.h"
#include "handshake/library.h"

/*
 * libssl uses a group only if the provider that announces it also has its key management, so X25519
 * is announced here as in the default provider. No other group may be added: with EC key management
 * here, the property query would route P-256 key shares to this provider too.
 */
static unsigned group_id = 0x1d; /* RFC 8446, section 4.2.7 */
static unsigned security_bits = 128;
static unsigned is_kem = 0;
static int min_tls = TLS1_VERSION, max_tls = 0, min_dtls = DTLS1_VERSION, max_dtls = 0;

static const OSSL_PARAM x25519_group[] = {
    OSSL_PARAM_utf8_string(OSSL_CAPABILITY_TLS_GROUP_NAME, (char *)"x25519", sizeof "x25519"),
    OSSL_PARAM_utf8_string(OSSL_CAPABILITY_TLS_GROUP_NAME_INTERNAL, (char *)"X25519",
                           sizeof "X25519"),
    OSSL_PARAM_utf8_string(OSSL_CAPABILITY_TLS_GROUP_ALG, (char *)"X25519", sizeof "X25519"),
    OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_ID, &group_id),
    OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_SECURITY_BITS, &security_bits),
    OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_IS_KEM, &is_kem),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MIN_TLS, &min_tls),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MAX_TLS, &max_tls),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MIN_DTLS, &min_dtls),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MAX_DTLS, &max_dtls),
    OSSL_PARAM_END,
};

#define PROVIDER_NAME "immure-handshake"
#define PROVIDER_PROPERTIES "provider=" PROVIDER_NAME ",immure.handshake=yes"

static const OSSL_ALGORITHM key_schedules[] = {
    {"TLS13-KDF", PROVIDER_PROPERTIES, key_schedule_functions, "RFC 8446, section 7.1"},
    {NULL, NULL, NULL, NULL},
};

#define X25519_NAMES "X25519:1.3.101.110"

static const OSSL_ALGORITHM keymgmts[] = {
    {X25519_NAMES, PROVIDER_PROPERTIES, keymgmt_functions, "X25519 with pooled key pairs"},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM exchanges[] = {
    {X25519_NAMES, PROVIDER_PROPERTIES, exchange_functions, "X25519, many at a time"},
    {NULL, NULL, NULL, NULL},
};

static bool has_x25519(const struct fast_handshake *fast)
{
    return (fast->parts & (FAST_KEY_PAIRS | FAST_DERIVATION)) != 0;
}

static const OSSL_ALGORITHM *provider_query(void *context, int operation, int *no_cache)
{
    const struct fast_handshake *fast = context;
    *no_cache = 0;
    switch (operation) {
    case OSSL_OP_KDF:
        return (fast->parts & FAST_KEY_SCHEDULE) != 0 ? key_schedules : NULL;
    case OSSL_OP_KEYMGMT:
        return has_x25519(fast) ? keymgmts : NULL;
    case OSSL_OP_KEYEXCH:
        return has_x25519(fast) ? exchanges : NULL;
    default:
        return NULL;
    }
}

static int provider_capabilities(void *context, const char *capability, OSSL_CALLBACK *callback,
                                 void *arg)
{
    if (!has_x25519(context) || OPENSSL_strcasecmp(capability, "TLS-GROUP") != 0)
        return 1; /* no such capability; libssl would take 0 for an error */
    return callback(x25519_group, arg);
}

static const OSSL_PARAM *provider_gettable(void *context)
{
    static const OSSL_PARAM gettable[] = {
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_NAME, NULL, 0),
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_VERSION, NULL, 0),
        OSSL_PARAM_int(OSSL_PROV_PARAM_STATUS, NULL),
        OSSL_PARAM_END,
    };
    (void)context;
    return gettable;
}

static int provider_get_params(void *context, OSSL_PARAM params[])
{
    (void)context;
    OSSL_PARAM *name = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_NAME);
    OSSL_PARAM *version = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_VERSION);
    OSSL_PARAM *status = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS);
    return (name == NULL || OSSL_PARAM_set_utf8_ptr(name, PROVIDER_NAME)) &&
           (version == NULL || OSSL_PARAM_set_utf8_ptr(version, IMMURE_VERSION)) &&
           (status == NULL || OSSL_PARAM_set_int(status, 1));
}

static void provider_teardown(void *context)
{
    struct fast_handshake *fast = context;
    key_schedule_release(fast->hashes);
    pairs_free(fast->pairs);
    free(fast);
}

/* The provider's context is a struct fast_handshake. */
static int provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
                         const OSSL_DISPATCH **out, void **context)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_TEARDOWN, (provider_function)provider_teardown},
        {OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (provider_function)provider_gettable},
        {OSSL_FUNC_PROVIDER_GET_PARAMS, (provider_function)provider_get_params},
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (provider_function)provider_query},
        {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (provider_function)provider_capabilities},
        {0, NULL},
    };
    (void)core;
    (void)in;
    struct fast_handshake *fast = calloc(1, sizeof *fast);
    if (fast == NULL)
        return 0;
    list_init(&fast->waiting);
    *out = functions;
    *context = fast;
    return 1;
}

/* Prepares what the X25519 parts need. False with the reason in fast->reason. */
static bool prepare_x25519(struct fast_handshake *fast, unsigned wanted)
{
    if (!lanes_open(&fast->lanes, fast->reason, sizeof fast->reason))
        return false;
    if ((wanted & FAST_KEY_PAIRS) == 0)
        return true;
    fast->pairs = pairs_new(fast->context, &fast->lanes, fast->reason, sizeof fast->reason);
    return fast->pairs != NULL;
}

struct fast_handshake *fast_handshake_open(OSSL_LIB_CTX *context, unsigned wanted)
{
    const unsigned x25519 = FAST_KEY_PAIRS | FAST_DERIVATION;
    OSSL_PROVIDER *handle = NULL;
    if (OSSL_PROVIDER_add_builtin(context, PROVIDER_NAME, provider_init))
        handle = OSSL_PROVIDER_load(context, PROVIDER_NAME);
    if (handle == NULL)
        return NULL;
    struct fast_handshake *fast = OSSL_PROVIDER_get0_provider_ctx(handle);
    if (fast->context != NULL || !key_schedule_init(fast->hashes, context)) {
        OSSL_PROVIDER_unload(handle);
        return NULL;
    }
    fast->context = context;
    fast->handle = handle;
    if ((wanted & x25519) != 0 && !prepare_x25519(fast, wanted))
        wanted &= ~x25519;
    fast->parts = wanted; /* the provider announces its algorithms from now on */
    return fast;
}

void fast_handshake_close(struct fast_handshake *fast)
{
    if (fast != NULL)
        OSSL_PROVIDER_unload(fast->handle);
}

unsigned fast_handshake_parts(const struct fast_handshake *fast)
{
    return fast->parts;
}

void fast_handshake_describe(const struct fast_handshake *fast, char *text, size_t size)
{
    static const struct {
        unsigned part;
        const char *name;
    } names[] = {
        {FAST_KEY_SCHEDULE, "key schedule"},
        {FAST_KEY_PAIRS, "X25519 key pairs"},
        {FAST_DERIVATION, "X25519 derivation"},
    };
    size_t length = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names && length < size; i++)
        if ((fast->parts & names[i].part) != 0)
            length += (size_t)snprintf(text + length, size - length, "%s%s", length > 0 ? ", " : "",
                                       names[i].name);
    if (length == 0)
        length = (size_t)snprintf(text, size, "nothing");
    if (fast->lanes.soname != NULL && length < size)
        length += (size_t)snprintf(text + length, size - length, " (%s)", fast->lanes.soname);
    if (fast->reason[0] != '\0' && length < size)
        snprintf(text + length, size - length, "; no X25519: %s", fast->reason);
}
