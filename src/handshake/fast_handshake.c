#include "handshake/fast_handshake.h"

#include <openssl/provider.h>
#include <stdio.h>

#include "handshake/provider.h"

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
    if (OSSL_PROVIDER_add_builtin(context, PROVIDER_NAME, handshake_provider_init))
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
