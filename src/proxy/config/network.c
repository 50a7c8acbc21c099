#include "proxy/config/network.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL_BITS 128
#define MAPPED_BITS 96 /* before an IPv4 address within an IPv6 address */

static void map(const void *address, struct in6_addr *mapped)
{
    static const uint8_t prefix[MAPPED_BITS / 8] = {[10] = 0xff, [11] = 0xff};
    memcpy(mapped->s6_addr, prefix, sizeof prefix);
    memcpy(mapped->s6_addr + sizeof prefix, address, sizeof(struct in_addr));
}

static bool same_bits(const struct in6_addr *a, const struct in6_addr *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    return memcmp(a->s6_addr, b->s6_addr, whole) == 0 &&
           (rest == 0 || ((a->s6_addr[whole] ^ b->s6_addr[whole]) >> (8 - rest)) == 0);
}

/* Whether an address is the first of its network. */
static bool is_first(const struct network *network)
{
    struct in6_addr first = network->address;
    for (unsigned bit = network->bits; bit < ALL_BITS; bit++)
        first.s6_addr[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
    return memcmp(&first, &network->address, sizeof first) == 0;
}

static bool parse_bits(const char *text, unsigned most, unsigned *bits)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    *bits = (unsigned)number;
    return isdigit((unsigned char)text[0]) && *end == '\0' && number <= most;
}

bool network_parse(const char *text, struct network *network, const char **reason)
{
    char address[INET6_ADDRSTRLEN];
    struct in_addr ipv4;
    size_t length = strcspn(text, "/");
    *reason = "is neither an address nor a network, such as 192.0.2.0/24";
    if (length >= sizeof address)
        return false;
    snprintf(address, sizeof address, "%.*s", (int)length, text);
    bool short_form = inet_pton(AF_INET, address, &ipv4) == 1;
    unsigned before = short_form ? MAPPED_BITS : 0, bits = ALL_BITS - before;
    if (short_form)
        map(&ipv4, &network->address);
    else if (inet_pton(AF_INET6, address, &network->address) != 1)
        return false;
    if (text[length] == '/' && !parse_bits(text + length + 1, bits, &bits))
        return false;
    network->bits = before + bits;
    *reason = "has bits behind its prefix";
    return is_first(network);
}

bool network_has(const struct network *network, const struct sockaddr_storage *address)
{
    struct in6_addr mapped;
    if (address->ss_family == AF_INET)
        map(&((const struct sockaddr_in *)address)->sin_addr, &mapped);
    else if (address->ss_family == AF_INET6)
        mapped = ((const struct sockaddr_in6 *)address)->sin6_addr;
    else
        return false;
    return same_bits(&network->address, &mapped, network->bits);
}
