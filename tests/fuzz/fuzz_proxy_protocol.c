/*
 * PROXY headers: the first byte says which versions are taken. A header that is taken is whole:
 * with a byte less there is more to come. What we make of its addresses is taken again, and says
 * the same.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/worker/proxy_protocol.h"
#include "target.h"

static enum proxy_header_result parse(const uint8_t *bytes, size_t length,
                                      enum proxy_protocol accept, struct proxy_addresses *addresses,
                                      size_t *used)
{
    *addresses = (struct proxy_addresses){0};
    *used = 0;
    enum proxy_header_result result = proxy_header_parse(bytes, length, accept, addresses, used);
    if (result == PROXY_HEADER_DONE && (*used == 0 || *used > length || *used > PROXY_HEADER_MAX))
        abort();
    return result;
}

/* A unix address is not made: the frontends have none. */
static void make_and_parse(const struct proxy_addresses *addresses, enum proxy_protocol version)
{
    uint8_t header[PROXY_HEADER_MAX];
    struct proxy_addresses again;
    size_t used, length = proxy_header_make(header, version, addresses, NULL);
    if (parse(header, length, version, &again, &used) != PROXY_HEADER_DONE || used != length)
        abort();
    if (again.source.ss_family != addresses->source.ss_family)
        return; /* an IPv4 address in IPv6 */
    if (memcmp(&again, addresses, sizeof again) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum proxy_protocol accepted[] = {PROXY_PROTOCOL_ANY, PROXY_PROTOCOL_V1,
                                                   PROXY_PROTOCOL_V2};
    struct proxy_addresses addresses, shorter;
    size_t used, less;
    if (size == 0)
        return 0;
    enum proxy_protocol accept = accepted[data[0] % 3];
    if (parse(data + 1, size - 1, accept, &addresses, &used) != PROXY_HEADER_DONE)
        return 0;
    if (parse(data + 1, used - 1, accept, &shorter, &less) != PROXY_HEADER_MORE)
        abort();
    if (addresses.source.ss_family != AF_UNIX) {
        make_and_parse(&addresses, PROXY_PROTOCOL_V1);
        make_and_parse(&addresses, PROXY_PROTOCOL_V2);
    }
    return 0;
}
