/*
 * The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt, 2020/03/05): it brings the
 * client's address from a load balancer in front of us, and on to a backend behind us.
 */
#ifndef PROXY_WORKER_TRANSPORT_PROXY_PROTOCOL_H
#define PROXY_WORKER_TRANSPORT_PROXY_PROTOCOL_H

#include <openssl/ssl.h>
#include <sys/socket.h>

#include "proxy/config/config.h"
#include "proxy/worker/transport/proxy_tlv.h"

/* The longest header that is accepted, the longest without a client's certificate and TLVs that are
 * passed on, and the longest that is made: all of them together. */
#define PROXY_HEADER_MAX 16384
#define PROXY_HEADER_OWN_MAX 2048
#define PROXY_HEADER_MADE_MAX (PROXY_HEADER_OWN_MAX + CLIENT_CERTIFICATE_MAX + PROXY_HEADER_MAX)

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
    struct proxy_tlvs tlvs; /* within the bytes that were parsed; empty in version 1 */
};

enum proxy_header_result { PROXY_HEADER_DONE, PROXY_HEADER_MORE, PROXY_HEADER_BAD };

/*
 * Parses the header at the front of what has arrived. DONE: *header has its length, and *addresses
 * is replaced, unless the header gives no addresses of a stream (LOCAL, UNKNOWN, UNSPEC,
 * datagrams), in which case its TLVs mean nothing either. MORE: the header is incomplete. BAD: it
 * is malformed, its version is not one that `accept` allows, or its CRC32C is wrong.
 */
enum proxy_header_result proxy_header_parse(const uint8_t *bytes, size_t length,
                                            enum proxy_protocol accept,
                                            struct proxy_addresses *addresses,
                                            struct proxy_header *header);

/* Returns the version whose signature `bytes` begin with, or may turn out to begin with when more
 * arrive. NONE: neither. */
enum proxy_protocol proxy_header_version(const uint8_t *bytes, size_t length);

/*
 * Copies the TLVs of an accepted header that are passed on to a backend, unchanged and in order:
 * all except those that proxy_header_make() writes, the header's checksum, and padding. `room` has
 * tlvs->length bytes. Returns how many bytes were written.
 */
size_t proxy_tlvs_pass(uint8_t *room, const struct proxy_tlvs *tlvs);

/*
 * Writes the header for a backend to `room`, which has PROXY_HEADER_MADE_MAX bytes. Version 2
 * contains PP2_TYPE_AUTHORITY (`name`, which the client asked for by SNI; NULL: none) and, with an
 * `ssl` after its handshake (or NULL), PP2_TYPE_ALPN before it and PP2_TYPE_SSL with version,
 * cipher, key algorithm and the client's common name behind it; if `whole`, with the client's whole
 * certificate, too. They are followed by `passed`, of at most PROXY_HEADER_MAX bytes (NULL: none).
 * Returns the length.
 */
size_t proxy_header_make(uint8_t *room, enum proxy_protocol version,
                         const struct proxy_addresses *addresses, SSL *ssl, bool whole,
                         const char *name, const struct proxy_tlvs *passed);

/* An IPv4 address within an IPv6 address as IPv4; others as they are. */
struct sockaddr_storage address_unmapped(const struct sockaddr_storage *address);

#endif
