#include "proxy/config/server_addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>
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

static bool is_host(const struct server_address *address, uint16_t port)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->socket;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->socket;
    switch (address->socket.ss_family) {
    case AF_INET:
        return address->length == sizeof *v4 && ntohs(v4->sin_port) == port;
    case AF_INET6:
        return address->length == sizeof *v6 && ntohs(v6->sin6_port) == port;
    default:
        return false;
    }
}

bool server_addresses_are_hosts(const struct server_addresses *addresses, uint16_t port)
{
    bool good = addresses->count <= SERVER_ADDRESSES_MAX;
    for (unsigned i = 0; good && i < addresses->count; i++)
        good = is_host(&addresses->of[i], port);
    return good;
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
