#include "handshake/library.h"

#include <stddef.h>
#include <stdio.h>

#include "handshake/known_answers.h"

static const struct multibuffer_symbol symbols[] = {
    {"mbx_get_algo_info", offsetof(struct lanes, algorithm_info)},
    {"mbx_x25519_public_key_mb8", offsetof(struct lanes, public_key)},
    {"mbx_x25519_mb8", offsetof(struct lanes, shared_secret)},
};

bool lanes_open(struct lanes *lanes, char *reason, size_t size)
{
    const char *soname =
        multibuffer_load(NULL, symbols, sizeof symbols / sizeof symbols[0], lanes, reason, size);
    if (soname == NULL)
        return false;
    if ((lanes->algorithm_info(MULTIBUFFER_X25519) & LANES) == 0)
        snprintf(reason, size, "%s has no X25519 for this processor", soname);
    else if (!lanes_known_answers(lanes))
        snprintf(reason, size, "X25519 of %s is wrong", soname);
    else
        lanes->soname = soname;
    return lanes->soname != NULL;
}
