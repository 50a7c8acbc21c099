#include "proxy/worker/admission/source.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/mix.h"

#define BITS_IPV4 32
#define BITS_NARROW 56
#define BITS_WIDE 48
#define LENGTH_BITS 8
#define NO_ADDRESS UINT64_C(1)

/* The first eight bytes of an IPv6 address, cut to a prefix. */
static uint64_t cut(const struct in6_addr *address, unsigned bits)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | address->s6_addr[i];
    return (value & ~UINT64_C(0) << (64 - bits)) | bits;
}

static uint64_t of_ipv4(const void *address)
{
    uint32_t value;
    memcpy(&value, address, sizeof value);
    return (uint64_t)ntohl(value) << LENGTH_BITS | BITS_IPV4;
}

struct source source_from(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return (struct source){.narrow = of_ipv4(&((const struct sockaddr_in *)address)->sin_addr)};
    if (address->ss_family != AF_INET6)
        return (struct source){.narrow = NO_ADDRESS};
    const struct in6_addr *ipv6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(ipv6))
        return (struct source){.narrow = of_ipv4(&ipv6->s6_addr[12])};
    return (struct source){.narrow = cut(ipv6, BITS_NARROW), .wide = cut(ipv6, BITS_WIDE)};
}

bool source_has_address(const struct source *source)
{
    return source->narrow != NO_ADDRESS;
}

uint64_t prefix_hash(const struct prefix_seed *seed, uint64_t prefix)
{
    return mix(mix(prefix ^ seed->a) + seed->b);
}

const char *prefix_print(uint64_t prefix, char text[PREFIX_TEXT_SIZE])
{
    char address[INET6_ADDRSTRLEN] = "";
    unsigned bits = prefix & ((1U << LENGTH_BITS) - 1);
    if (bits == BITS_IPV4) {
        uint32_t value = htonl((uint32_t)(prefix >> LENGTH_BITS));
        inet_ntop(AF_INET, &value, address, sizeof address);
    } else if (bits == BITS_NARROW || bits == BITS_WIDE) {
        struct in6_addr value = IN6ADDR_ANY_INIT;
        for (unsigned i = 0; i < bits / 8; i++)
            value.s6_addr[i] = (uint8_t)(prefix >> (56 - 8 * i));
        inet_ntop(AF_INET6, &value, address, sizeof address);
    } else {
        return "no address";
    }
    snprintf(text, PREFIX_TEXT_SIZE, "%s/%u", address, bits);
    return text;
}
