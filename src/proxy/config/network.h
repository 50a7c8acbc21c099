/* Networks of clients: "10.0.0.0/8", "2001:db8::/32", or a single address. */
#ifndef PROXY_CONFIG_NETWORK_H
#define PROXY_CONFIG_NETWORK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* IPv4 is kept as IPv6 (RFC 4291, section 2.5.5.2), the form in which listeners for both see it. */
struct network {
    struct in6_addr address;
    unsigned bits; /* that all its addresses have in common */
};

/* False: *reason says what is wrong with the text. */
bool network_parse(const char *text, struct network *network, const char **reason);
/* False for addresses that are not of IPv4 or IPv6. */
bool network_has(const struct network *network, const struct sockaddr_storage *address);

#endif
