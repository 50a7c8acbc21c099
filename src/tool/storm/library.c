#include "storm/library.h"

#include <openssl/core_dispatch.h>
#include <openssl/provider.h>
#include <string.h>
#include <threads.h>

#include "handshake/fast_handshake.h"
#include "storm/unchecked.h"

#define PROVIDER "storm"
#define ALGORITHMS_MAX 128

/*
 * The storm's provider borrows the functions of OpenSSL's default provider, which is loaded in a
 * separate context, the lender's. Both are created once and never freed.
 */
static OSSL_PROVIDER *lender;
static OSSL_ALGORITHM decoders[ALGORITHMS_MAX + 1], signatures[ALGORITHMS_MAX + 1];

/* Copies the algorithms for which `change`, which may modify them, returns true. */
static void copy_algorithms(OSSL_ALGORITHM *copies, int operation,
                            bool (*change)(OSSL_ALGORITHM *algorithm))
{
    int no_cache;
    const OSSL_ALGORITHM *each = OSSL_PROVIDER_query_operation(lender, operation, &no_cache);
    for (size_t count = 0; each != NULL && each->algorithm_names != NULL; each++) {
        copies[count] = *each;
        if (count < ALGORITHMS_MAX && change(&copies[count]))
            count++;
        else
            copies[count] = (OSSL_ALGORITHM){0};
    }
}

static bool only_public_keys(OSSL_ALGORITHM *decoder)
{
    return strstr(decoder->property_definition, "input=der") != NULL &&
           strstr(decoder->property_definition, "structure=SubjectPublicKeyInfo") != NULL;
}

/* MACs, which OpenSSL also lists as signatures, verify nothing and stay unchanged. */
static bool without_check(OSSL_ALGORITHM *signature)
{
    for (const OSSL_DISPATCH *each = signature->implementation; each->function_id != 0; each++)
        if (each->function_id == OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT)
            signature->implementation = unchecked_signature;
    return true;
}

static const OSSL_ALGORITHM *query(void *context, int operation, int *no_cache)
{
    (void)context;
    *no_cache = 0;
    switch (operation) {
    case OSSL_OP_DECODER:
        return decoders;
    case OSSL_OP_ENCODER:
    case OSSL_OP_STORE:
        return NULL;
    default:
        return OSSL_PROVIDER_query_operation(lender, operation, no_cache);
    }
}

static const OSSL_ALGORITHM *query_unchecked(void *context, int operation, int *no_cache)
{
    return operation == OSSL_OP_SIGNATURE ? signatures : query(context, operation, no_cache);
}

static int capabilities(void *context, const char *capability, OSSL_CALLBACK *callback, void *arg)
{
    (void)context;
    return OSSL_PROVIDER_get_capabilities(lender, capability, callback, arg);
}

/* The borrowed functions need the lender's provider context. */
static int init(const OSSL_DISPATCH *functions, const OSSL_DISPATCH **out, void **context)
{
    *out = functions;
    *context = OSSL_PROVIDER_get0_provider_ctx(lender);
    return 1;
}

#define FUNCTIONS(query)                                                                           \
    {                                                                                              \
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))(query)},                             \
            {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))capabilities}, {0, NULL},        \
    }

static int init_checked(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
                        const OSSL_DISPATCH **out, void **context)
{
    static const OSSL_DISPATCH functions[] = FUNCTIONS(query);
    (void)core;
    (void)in;
    return init(functions, out, context);
}

static int init_unchecked(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
                          const OSSL_DISPATCH **out, void **context)
{
    static const OSSL_DISPATCH functions[] = FUNCTIONS(query_unchecked);
    (void)core;
    (void)in;
    return init(functions, out, context);
}

/* Since OpenSSL 3.5, a random number generator fetches its cipher from the lender's context, by the
 * name of the provider that the generator came from. So a provider of our name must exist there. */
static void find_lender(void)
{
    OSSL_LIB_CTX *context = OSSL_LIB_CTX_new();
    lender = OSSL_PROVIDER_load(context, "default");
    if (lender == NULL)
        return;
    copy_algorithms(decoders, OSSL_OP_DECODER, only_public_keys);
    copy_algorithms(signatures, OSSL_OP_SIGNATURE, without_check);
    if (!OSSL_PROVIDER_add_builtin(context, PROVIDER, init_checked) ||
        OSSL_PROVIDER_load(context, PROVIDER) == NULL)
        lender = NULL;
}

bool library_open(struct library *library, bool unchecked)
{
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, find_lender);
    *library = (struct library){.context = OSSL_LIB_CTX_new()};
    if (lender != NULL && library->context != NULL &&
        OSSL_PROVIDER_add_builtin(library->context, PROVIDER,
                                  unchecked ? init_unchecked : init_checked))
        library->provider = OSSL_PROVIDER_load(library->context, PROVIDER);
    if (library->provider == NULL)
        return false;
    library->fast = fast_handshake_open(library->context, FAST_KEY_SCHEDULE | FAST_KEY_PAIRS);
    return library->fast != NULL &&
           EVP_set_default_properties(library->context, FAST_HANDSHAKE_UNWANTED) == 1;
}

void library_close(struct library *library)
{
    fast_handshake_close(library->fast);
    if (library->provider != NULL)
        OSSL_PROVIDER_unload(library->provider);
    OSSL_LIB_CTX_free(library->context);
}

SSL_CTX *library_client(const struct library *library)
{
    return SSL_CTX_new_ex(library->context, FAST_HANDSHAKE_WANTED, TLS_client_method());
}
