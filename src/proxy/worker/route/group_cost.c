#include "proxy/worker/route/group_cost.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdbool.h>

#include "base/clock.h"

#define RUNS 2 /* the quicker one counts: the first fetches algorithms */

static EVP_PKEY *make_pair(OSSL_LIB_CTX *library, const char *type, const char *group)
{
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(library, type, NULL);
    EVP_PKEY *pair = NULL;
    if (maker != NULL && EVP_PKEY_keygen_init(maker) > 0 &&
        (type == group || EVP_PKEY_CTX_set_group_name(maker, group) > 0))
        EVP_PKEY_generate(maker, &pair);
    EVP_PKEY_CTX_free(maker);
    return pair;
}

/* Uses the key itself as the peer's, which costs the same. */
static bool derive(OSSL_LIB_CTX *library, EVP_PKEY *pair)
{
    unsigned char secret[1024]; /* ffdhe8192 */
    size_t length = sizeof secret;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(library, pair, NULL);
    bool good = context != NULL && EVP_PKEY_derive_init(context) > 0 &&
                EVP_PKEY_derive_set_peer(context, pair) > 0 &&
                EVP_PKEY_derive(context, secret, &length) > 0;
    EVP_PKEY_CTX_free(context);
    return good;
}

/* 0: the group is not of this type of key. */
static uint64_t measure(OSSL_LIB_CTX *library, const char *type, const char *group)
{
    uint64_t best = 0;
    for (int run = 0; run < RUNS; run++) {
        uint64_t begun = clock_thread();
        EVP_PKEY *pair = make_pair(library, type, group);
        bool good = pair != NULL && derive(library, pair);
        uint64_t took = clock_thread() - begun;
        EVP_PKEY_free(pair);
        if (!good)
            return 0;
        best = run == 0 || took < best ? took : best;
    }
    return best;
}

uint64_t group_cost(OSSL_LIB_CTX *library, const char *group)
{
    const char *const types[] = {group, "EC", "DH"};
    uint64_t cost = 0;
    for (size_t i = 0; cost == 0 && i < sizeof types / sizeof types[0]; i++)
        cost = measure(library, types[i], group);
    ERR_clear_error();
    return cost;
}
