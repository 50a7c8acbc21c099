/*
 * PROXY headers: the first byte says which versions are accepted. An accepted header is complete:
 * without its last byte the parser asks for more. The header that we write from its addresses and
 * TLVs parses to the same values.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/worker/transport/proxy_protocol.h"
#include "target.h"

static enum proxy_header_result parse(const uint8_t *bytes, size_t length,
                                      enum proxy_protocol accept, struct proxy_addresses *addresses,
                                      struct proxy_header *header)
{
    *addresses = (struct proxy_addresses){0};
    *header = (struct proxy_header){0};
    enum proxy_header_result result = proxy_header_parse(bytes, length, accept, addresses, header);
    if (result == PROXY_HEADER_DONE &&
        (header->length == 0 || header->length > length || header->length > PROXY_HEADER_MAX))
        abort();
    if (header->tlvs.length > 0 &&
        (header->tlvs.bytes < bytes ||
         header->tlvs.bytes + header->tlvs.length != bytes + header->length))
        abort();
    return result;
}

/* A unix address is not made: the frontends have none. */
static void make_and_parse(const struct proxy_addresses *addresses, const struct proxy_tlvs *tlvs,
                           enum proxy_protocol version)
{
    uint8_t header[PROXY_HEADER_MADE_MAX];
    struct proxy_addresses again;
    struct proxy_header read;
    size_t length = proxy_header_make(header, version, addresses, NULL, false, NULL, tlvs);
    if (parse(header, length, version, &again, &read) != PROXY_HEADER_DONE || read.length != length)
        abort();
    bool told = again.source.ss_family != AF_UNSPEC && version == PROXY_PROTOCOL_V2;
    if (told && (read.tlvs.length != tlvs->length ||
                 (tlvs->length > 0 && memcmp(read.tlvs.bytes, tlvs->bytes, tlvs->length) != 0)))
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
    uint8_t room[PROXY_HEADER_MAX];
    struct proxy_addresses addresses, shorter;
    struct proxy_header header, less;
    if (size == 0)
        return 0;
    enum proxy_protocol accept = accepted[data[0] % 3];
    if (parse(data + 1, size - 1, accept, &addresses, &header) != PROXY_HEADER_DONE)
        return 0;
    if (parse(data + 1, header.length - 1, accept, &shorter, &less) != PROXY_HEADER_MORE)
        abort();
    if (addresses.source.ss_family != AF_UNIX) {
        struct proxy_tlvs passed = {room, proxy_tlvs_pass(room, &header.tlvs)};
        make_and_parse(&addresses, &passed, PROXY_PROTOCOL_V1);
        make_and_parse(&addresses, &passed, PROXY_PROTOCOL_V2);
    }
    return 0;
}
