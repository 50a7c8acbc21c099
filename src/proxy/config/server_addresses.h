/* The addresses of a backend's server, in the order in which they are tried. */
#ifndef PROXY_CONFIG_SERVER_ADDRESSES_H
#define PROXY_CONFIG_SERVER_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define SERVER_ADDRESSES_MAX 16 /* further ones are left out */

struct server_addresses {
    unsigned count;
    struct server_address {
        struct sockaddr_storage socket;
        socklen_t length;
    } of[SERVER_ADDRESSES_MAX];
};

/* False: there is no room for it. */
bool server_addresses_add(struct server_addresses *addresses, const struct sockaddr *address,
                          socklen_t length);
/* Whether all are IP addresses with this port: another process has sent them. */
bool server_addresses_are_hosts(const struct server_addresses *addresses, uint16_t port);
/* Whether both have the same addresses, in any order. */
bool server_addresses_same(const struct server_addresses *a, const struct server_addresses *b);

#endif
