/*
 * The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt, 2020/03/05): how the
 * client's address comes from a load balancer before us and goes on to a backend behind us.
 */
#ifndef PROXY_WORKER_TRANSPORT_PROXY_PROTOCOL_H
#define PROXY_WORKER_TRANSPORT_PROXY_PROTOCOL_H

#include <openssl/ssl.h>
#include <sys/socket.h>

#include "proxy/config/config.h"

/* The longest header that is accepted, and the longest that is made: what we say ourselves, and the
 * TLVs of an accepted one. */
#define PROXY_HEADER_MAX 16384
#define PROXY_HEADER_OWN_MAX 2048
#define PROXY_HEADER_MADE_MAX (PROXY_HEADER_OWN_MAX + PROXY_HEADER_MAX)

struct proxy_addresses {
    struct sockaddr_storage source, destination; /* ss_family AF_UNSPEC: unknown */
};

/* Type-length-value fields, one after the other. */
struct proxy_tlvs {
    const uint8_t *bytes;
    size_t length;
};

struct proxy_header {
    size_t length;
    struct proxy_tlvs tlvs; /* within the bytes that were parsed; empty: none, or no version 2 */
};

enum proxy_header_result { PROXY_HEADER_DONE, PROXY_HEADER_MORE, PROXY_HEADER_BAD };

/*
 * Reads the header at the front of what has arrived. DONE: *header says how long it is, and
 * *addresses is replaced unless the header tells of no stream that it knows the ends of (LOCAL,
 * UNKNOWN, UNSPEC, datagrams): then its TLVs have no meaning either. MORE: not all there. BAD: not
 * such a header, not of a version that `accept` allows, or its CRC32C is wrong.
 */
enum proxy_header_result proxy_header_parse(const uint8_t *bytes, size_t length,
                                            enum proxy_protocol accept,
                                            struct proxy_addresses *addresses,
                                            struct proxy_header *header);

/* The version whose signature `bytes` are the beginning of, or begin with; NONE: of neither. */
enum proxy_protocol proxy_header_version(const uint8_t *bytes, size_t length);

/*
 * Copies the TLVs of an accepted header that go on to a backend, as they are and in their order:
 * all but those that proxy_header_make() writes, the checksum of the header that they came in, and
 * padding. `room` has tlvs->length bytes. Returns how many were written.
 */
size_t proxy_tlvs_pass(uint8_t *room, const struct proxy_tlvs *tlvs);

/*
 * Writes the header for a backend: `room` has PROXY_HEADER_MADE_MAX bytes. Version 2 carries, from
 * `ssl` (after the handshake; NULL: none of these), PP2_TYPE_ALPN, PP2_TYPE_AUTHORITY
 * (`name`, which the client asked for by SNI; NULL: none) and PP2_TYPE_SSL with version, cipher and
 * key algorithm, and behind them `passed`, of at most PROXY_HEADER_MAX bytes (NULL: none). Returns
 * the length.
 */
size_t proxy_header_make(uint8_t *room, enum proxy_protocol version,
                         const struct proxy_addresses *addresses, SSL *ssl, const char *name,
                         const struct proxy_tlvs *passed);

#endif
