#include "proxy/worker/transport/proxy_protocol.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/bytes.h"

#define V1_SIGNATURE "PROXY "
#define V1_LENGTH_MAX 107 /* with CR LF; section 2.1 */
#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V2_FIXED_LENGTH 16
#define SIGNATURE_LENGTH(text) (sizeof(text) - 1)

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };
enum v2_family {
    V2_UNSPEC = 0x00,
    V2_TCP4 = 0x11,
    V2_UDP4 = 0x12,
    V2_TCP6 = 0x21,
    V2_UDP6 = 0x22,
    V2_UNIX = 0x31,
    V2_UNIX_DATAGRAM = 0x32
};
enum { V2_UNIX_PATH = 108 };

static struct sockaddr_storage address_inet(const void *ip, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_storage address = {0};
    memcpy(&in.sin_addr, ip, sizeof in.sin_addr);
    memcpy(&address, &in, sizeof in);
    return address;
}

static struct sockaddr_storage address_inet6(const void *ip, uint16_t port)
{
    struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_storage address = {0};
    memcpy(&in.sin6_addr, ip, sizeof in.sin6_addr);
    memcpy(&address, &in, sizeof in);
    return address;
}

static struct sockaddr_storage address_unix(const uint8_t path[V2_UNIX_PATH])
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_storage address = {0};
    static_assert(sizeof un.sun_path == V2_UNIX_PATH, "the header's path is Linux's");
    memcpy(un.sun_path, path, V2_UNIX_PATH);
    memcpy(&address, &un, sizeof un);
    return address;
}

/* Version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 40000 443\r\n" */

/* A decimal number without sign and leading zeros, 0 to 65535. */
static bool parse_port(const char *text, uint16_t *port)
{
    uint32_t value = 0;
    size_t length = strlen(text);
    if (length == 0 || length > 5 || (text[0] == '0' && length > 1))
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

static bool parse_ip_and_port(int family, const char *ip, const char *port,
                              struct sockaddr_storage *address)
{
    struct in6_addr bytes;
    uint16_t number;
    if (inet_pton(family, ip, &bytes) != 1 || !parse_port(port, &number))
        return false;
    *address = family == AF_INET ? address_inet(&bytes, number) : address_inet6(&bytes, number);
    return true;
}

/* `line` is the text between "PROXY " and CR LF; it is cut into fields in place. */
static bool parse_v1_line(char *line, struct proxy_addresses *addresses)
{
    enum { PROTOCOL, SOURCE, DESTINATION, SOURCE_PORT, DESTINATION_PORT, FIELDS };
    char *field[FIELDS];
    if (strcmp(line, "UNKNOWN") == 0 || strncmp(line, "UNKNOWN ", strlen("UNKNOWN ")) == 0)
        return true; /* section 2.1: the rest of the line is ignored */
    for (size_t i = 0; i < FIELDS; i++)
        if ((field[i] = strsep(&line, " ")) == NULL)
            return false;
    int family = strcmp(field[PROTOCOL], "TCP4") == 0   ? AF_INET
                 : strcmp(field[PROTOCOL], "TCP6") == 0 ? AF_INET6
                                                        : AF_UNSPEC;
    struct proxy_addresses parsed;
    if (line != NULL || family == AF_UNSPEC ||
        !parse_ip_and_port(family, field[SOURCE], field[SOURCE_PORT], &parsed.source) ||
        !parse_ip_and_port(family, field[DESTINATION], field[DESTINATION_PORT],
                           &parsed.destination))
        return false;
    *addresses = parsed;
    return true;
}

static enum proxy_header_result parse_v1(const uint8_t *bytes, size_t length,
                                         struct proxy_addresses *addresses,
                                         struct proxy_header *header)
{
    size_t searched = length < V1_LENGTH_MAX ? length : V1_LENGTH_MAX;
    const uint8_t *end = memchr(bytes, '\n', searched);
    if (end == NULL)
        return searched < V1_LENGTH_MAX ? PROXY_HEADER_MORE : PROXY_HEADER_BAD;

    size_t total = (size_t)(end - bytes) + 1;
    char line[V1_LENGTH_MAX];
    size_t line_length = total - SIGNATURE_LENGTH(V1_SIGNATURE) - 1;
    memcpy(line, bytes + SIGNATURE_LENGTH(V1_SIGNATURE), line_length);
    if (line_length == 0 || line[line_length - 1] != '\r' || memchr(line, '\0', line_length))
        return PROXY_HEADER_BAD;
    line[line_length - 1] = '\0';
    if (!parse_v1_line(line, addresses))
        return PROXY_HEADER_BAD;
    *header = (struct proxy_header){.length = total};
    return PROXY_HEADER_DONE;
}

/* Version 2: signature, version and command, family, length; addresses; TLVs */

static bool parse_v2_addresses(uint8_t family, struct reader *reader,
                               struct proxy_addresses *addresses)
{
    const uint8_t *source, *destination;
    size_t size = family == V2_TCP4 ? 4 : family == V2_TCP6 ? 16 : V2_UNIX_PATH;
    source = read_bytes(reader, size);
    destination = read_bytes(reader, size);
    uint16_t source_port = family == V2_UNIX ? 0 : read_u16(reader);
    uint16_t destination_port = family == V2_UNIX ? 0 : read_u16(reader);
    if (reader->failed)
        return false;
    switch (family) {
    case V2_TCP4:
        *addresses = (struct proxy_addresses){address_inet(source, source_port),
                                              address_inet(destination, destination_port)};
        return true;
    case V2_TCP6:
        *addresses = (struct proxy_addresses){address_inet6(source, source_port),
                                              address_inet6(destination, destination_port)};
        return true;
    default:
        *addresses = (struct proxy_addresses){address_unix(source), address_unix(destination)};
        return true;
    }
}

struct tlv {
    uint8_t type;
    const uint8_t *value;
    size_t length;
};

/* Takes the next TLV. False: the end, or the reader has failed. */
static bool next_tlv(struct reader *tlvs, struct tlv *tlv)
{
    if (tlvs->left == 0)
        return false;
    tlv->type = read_u8(tlvs);
    tlv->length = read_u16(tlvs);
    tlv->value = read_bytes(tlvs, tlv->length);
    return !tlvs->failed;
}

/* CRC-32C (Castagnoli), as in RFC 4960, appendix B, four bits at a time; starts from 0xffffffff. */
static uint32_t crc32c_add(uint32_t sum, const uint8_t *bytes, size_t length)
{
    static const uint32_t table[] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    for (size_t i = 0; i < length; i++) {
        sum ^= bytes[i];
        sum = sum >> 4 ^ table[sum & 15];
        sum = sum >> 4 ^ table[sum & 15];
    }
    return sum;
}

/* The checksum covers the whole header, with zeros in place of the checksum. */
static bool crc32c_right(const struct tlv *tlv, const uint8_t *header, size_t length)
{
    static const uint8_t zeros[4];
    if (tlv->length != sizeof zeros)
        return false;
    struct reader value = reader_of(tlv->value, tlv->length);
    const uint8_t *rest = tlv->value + tlv->length;
    uint32_t sum = crc32c_add(UINT32_MAX, header, (size_t)(tlv->value - header));
    sum = crc32c_add(sum, zeros, sizeof zeros);
    sum = crc32c_add(sum, rest, (size_t)(header + length - rest));
    return ~sum == read_u32(&value);
}

/* Whether each TLV ends within the header, and there is no wrong or second checksum. */
static bool tlvs_good(struct reader tlvs, const uint8_t *header, size_t length)
{
    struct tlv tlv;
    bool summed = false;
    while (next_tlv(&tlvs, &tlv)) {
        if (tlv.type != TLV_CRC32C)
            continue;
        if (summed || !crc32c_right(&tlv, header, length))
            return false;
        summed = true;
    }
    return !tlvs.failed;
}

static bool v2_family_known(uint8_t family)
{
    switch (family) {
    case V2_UNSPEC:
    case V2_TCP4:
    case V2_UDP4:
    case V2_TCP6:
    case V2_UDP6:
    case V2_UNIX:
    case V2_UNIX_DATAGRAM:
        return true;
    default:
        return false;
    }
}

/* A stream follows the header, so the addresses of datagrams cannot be this client's. */
static bool v2_tells_addresses(uint8_t command, uint8_t family)
{
    return command == V2_PROXY && (family == V2_TCP4 || family == V2_TCP6 || family == V2_UNIX);
}

static enum proxy_header_result parse_v2(const uint8_t *bytes, size_t length,
                                         struct proxy_addresses *addresses,
                                         struct proxy_header *header)
{
    if (length < V2_FIXED_LENGTH)
        return PROXY_HEADER_MORE;
    struct reader reader = reader_of(bytes, length);
    read_bytes(&reader, SIGNATURE_LENGTH(V2_SIGNATURE));
    uint8_t command = read_u8(&reader);
    uint8_t family = read_u8(&reader);
    size_t rest = read_u16(&reader);
    if ((command != V2_LOCAL && command != V2_PROXY) ||
        (command == V2_PROXY && !v2_family_known(family)) ||
        V2_FIXED_LENGTH + rest > PROXY_HEADER_MAX)
        return PROXY_HEADER_BAD;
    if (reader.left < rest)
        return PROXY_HEADER_MORE;

    struct proxy_addresses parsed;
    reader.left = rest;
    *header = (struct proxy_header){.length = V2_FIXED_LENGTH + rest};
    if (!v2_tells_addresses(command, family))
        return PROXY_HEADER_DONE; /* what follows has no meaning: section 2.2 */
    if (!parse_v2_addresses(family, &reader, &parsed) || !tlvs_good(reader, bytes, header->length))
        return PROXY_HEADER_BAD;
    *addresses = parsed;
    header->tlvs = (struct proxy_tlvs){reader.next, reader.left};
    return PROXY_HEADER_DONE;
}

static bool begins_like(const uint8_t *bytes, size_t length, const char *signature, size_t size)
{
    return memcmp(bytes, signature, length < size ? length : size) == 0;
}

static const struct version {
    enum proxy_protocol number;
    const char *signature;
    size_t size;
    enum proxy_header_result (*parse)(const uint8_t *bytes, size_t length,
                                      struct proxy_addresses *addresses,
                                      struct proxy_header *header);
} versions[] = {
    {PROXY_PROTOCOL_V1, V1_SIGNATURE, SIGNATURE_LENGTH(V1_SIGNATURE), parse_v1},
    {PROXY_PROTOCOL_V2, V2_SIGNATURE, SIGNATURE_LENGTH(V2_SIGNATURE), parse_v2},
};

/* NULL: neither version. */
static const struct version *version_of(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
        if (begins_like(bytes, length, versions[i].signature, versions[i].size))
            return &versions[i];
    return NULL;
}

enum proxy_protocol proxy_header_version(const uint8_t *bytes, size_t length)
{
    const struct version *version = version_of(bytes, length);
    return version != NULL ? version->number : PROXY_PROTOCOL_NONE;
}

enum proxy_header_result proxy_header_parse(const uint8_t *bytes, size_t length,
                                            enum proxy_protocol accept,
                                            struct proxy_addresses *addresses,
                                            struct proxy_header *header)
{
    if (length == 0)
        return PROXY_HEADER_MORE;
    const struct version *version = version_of(bytes, length);
    if (version == NULL || (accept != PROXY_PROTOCOL_ANY && accept != version->number))
        return PROXY_HEADER_BAD;
    if (length < version->size)
        return PROXY_HEADER_MORE;
    return version->parse(bytes, length, addresses, header);
}

/* Making headers */

/* An IPv4 client of an IPv6 socket is named by its IPv4 address. */
struct sockaddr_storage address_unmapped(const struct sockaddr_storage *address)
{
    if (address->ss_family != AF_INET6)
        return *address;
    struct sockaddr_in6 in;
    memcpy(&in, address, sizeof in);
    if (!IN6_IS_ADDR_V4MAPPED(&in.sin6_addr))
        return *address;
    return address_inet(&in.sin6_addr.s6_addr[12], ntohs(in.sin6_port));
}

/* Returns the bytes of the IP address; *port is in host order. */
static const void *address_ip(const struct sockaddr_storage *address, uint16_t *port)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        *port = ntohs(in->sin_port);
        return &in->sin_addr;
    }
    const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;
    *port = ntohs(in->sin6_port);
    return &in->sin6_addr;
}

static size_t make_v1(uint8_t *room, sa_family_t family, const struct proxy_addresses *addresses)
{
    char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
    uint16_t source_port, destination_port;
    char *text = (char *)room;
    if (family != AF_INET && family != AF_INET6)
        return (size_t)snprintf(text, PROXY_HEADER_OWN_MAX, V1_SIGNATURE "UNKNOWN\r\n");
    inet_ntop(family, address_ip(&addresses->source, &source_port), source, sizeof source);
    inet_ntop(family, address_ip(&addresses->destination, &destination_port), destination,
              sizeof destination);
    return (size_t)snprintf(text, PROXY_HEADER_OWN_MAX, V1_SIGNATURE "%s %s %s %u %u\r\n",
                            family == AF_INET ? "TCP4" : "TCP6", source, destination, source_port,
                            destination_port);
}

static void write_alpn_tlv(struct writer *writer, const SSL *ssl)
{
    const unsigned char *alpn;
    unsigned alpn_length;
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_length);
    if (alpn_length > 0)
        proxy_tlv_write(writer, TLV_ALPN, alpn, alpn_length);
}

static void write_v2_addresses(struct writer *writer, sa_family_t family,
                               const struct proxy_addresses *addresses)
{
    if (family == AF_UNIX) {
        const struct sockaddr_un *source = (const struct sockaddr_un *)&addresses->source;
        const struct sockaddr_un *destination = (const struct sockaddr_un *)&addresses->destination;
        write_bytes(writer, source->sun_path, V2_UNIX_PATH);
        write_bytes(writer, destination->sun_path, V2_UNIX_PATH);
    } else if (family != AF_UNSPEC) {
        uint16_t source_port, destination_port;
        size_t size = family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
        write_bytes(writer, address_ip(&addresses->source, &source_port), size);
        write_bytes(writer, address_ip(&addresses->destination, &destination_port), size);
        write_u16(writer, source_port);
        write_u16(writer, destination_port);
    }
}

static bool tlv_passed(uint8_t type)
{
    return type != TLV_ALPN && type != TLV_AUTHORITY && type != TLV_SSL && type != TLV_CRC32C &&
           type != TLV_NOOP;
}

size_t proxy_tlvs_pass(uint8_t *room, const struct proxy_tlvs *tlvs)
{
    struct reader reader = reader_of(tlvs->bytes, tlvs->length);
    struct writer writer = writer_of(room, tlvs->length);
    struct tlv tlv;
    while (next_tlv(&reader, &tlv))
        if (tlv_passed(tlv.type))
            proxy_tlv_write(&writer, tlv.type, tlv.value, tlv.length);
    return (size_t)(writer.next - room);
}

static size_t make_v2(uint8_t *room, sa_family_t family, const struct proxy_addresses *addresses,
                      SSL *ssl, bool whole, const char *name, const struct proxy_tlvs *passed)
{
    static_assert(PROXY_HEADER_MADE_MAX - V2_FIXED_LENGTH <= UINT16_MAX, "the header has 16 bits");
    struct writer body = writer_of(room + V2_FIXED_LENGTH, PROXY_HEADER_MADE_MAX - V2_FIXED_LENGTH);
    write_v2_addresses(&body, family, addresses);
    if (ssl != NULL)
        write_alpn_tlv(&body, ssl);
    proxy_tlv_write_text(&body, TLV_AUTHORITY, name);
    if (ssl != NULL)
        proxy_tlv_write_ssl(&body, ssl, whole);
    if (passed != NULL && passed->length > 0)
        write_bytes(&body, passed->bytes, passed->length);
    size_t length = (size_t)(body.next - room);

    struct writer head = writer_of(room, V2_FIXED_LENGTH);
    write_bytes(&head, V2_SIGNATURE, SIGNATURE_LENGTH(V2_SIGNATURE));
    write_u8(&head, V2_PROXY);
    write_u8(&head, family == AF_INET    ? V2_TCP4
                    : family == AF_INET6 ? V2_TCP6
                    : family == AF_UNIX  ? V2_UNIX
                                         : V2_UNSPEC);
    write_u16(&head, (uint16_t)(length - V2_FIXED_LENGTH));
    return length;
}

size_t proxy_header_make(uint8_t *room, enum proxy_protocol version,
                         const struct proxy_addresses *addresses, SSL *ssl, bool whole,
                         const char *name, const struct proxy_tlvs *passed)
{
    struct proxy_addresses told = {address_unmapped(&addresses->source),
                                   address_unmapped(&addresses->destination)};
    sa_family_t family = told.source.ss_family;
    /* Both addresses have to be of one family that the header can carry; otherwise it has none. */
    if (family != told.destination.ss_family ||
        (family != AF_INET && family != AF_INET6 && family != AF_UNIX))
        family = AF_UNSPEC;
    return version == PROXY_PROTOCOL_V1 ? make_v1(room, family, &told)
                                        : make_v2(room, family, &told, ssl, whole, name, passed);
}
