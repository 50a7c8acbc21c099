#include "proxy/config/server_addresses.h"

#include <string.h>

bool server_addresses_add(struct server_addresses *addresses, const struct sockaddr *address,
                          socklen_t length)
{
    if (addresses->count == SERVER_ADDRESSES_MAX || length > sizeof(struct sockaddr_storage))
        return false;
    struct server_address *added = &addresses->of[addresses->count++];
    *added = (struct server_address){.length = length};
    memcpy(&added->socket, address, length);
    return true;
}

static bool has(const struct server_addresses *addresses, const struct server_address *wanted)
{
    for (unsigned i = 0; i < addresses->count; i++)
        if (addresses->of[i].length == wanted->length &&
            memcmp(&addresses->of[i].socket, &wanted->socket, wanted->length) == 0)
            return true;
    return false;
}

bool server_addresses_same(const struct server_addresses *a, const struct server_addresses *b)
{
    bool same = a->count == b->count;
    for (unsigned i = 0; i < a->count && same; i++)
        same = has(b, &a->of[i]) && has(a, &b->of[i]);
    return same;
}
