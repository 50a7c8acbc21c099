/*
 * The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt, 2020/03/05): how the
 * client's address comes from a load balancer before us and goes on to a backend behind us.
 */
#ifndef PROXY_WORKER_PROXY_PROTOCOL_H
#define PROXY_WORKER_PROXY_PROTOCOL_H

#include <openssl/ssl.h>
#include <sys/socket.h>

#include "proxy/config/config.h"

#define PROXY_HEADER_MAX 2048 /* longest header that is accepted or made */

struct proxy_addresses {
    struct sockaddr_storage source, destination; /* ss_family AF_UNSPEC: unknown */
};

enum proxy_header_result { PROXY_HEADER_DONE, PROXY_HEADER_MORE, PROXY_HEADER_BAD };

/*
 * Reads the header at the front of what has arrived. DONE: *used bytes were it, and *addresses is
 * replaced unless the header says LOCAL or UNKNOWN. MORE: not all there. BAD: not such a header, or
 * not of a version that `accept` allows.
 */
enum proxy_header_result proxy_header_parse(const uint8_t *bytes, size_t length,
                                            enum proxy_protocol accept,
                                            struct proxy_addresses *addresses, size_t *used);

/*
 * Writes the header for a backend: `room` has PROXY_HEADER_MAX bytes. Version 2 carries, from `ssl`
 * (after the handshake; NULL: none of these), PP2_TYPE_ALPN, PP2_TYPE_AUTHORITY (SNI) and
 * PP2_TYPE_SSL with version, cipher and key algorithm. Returns the length.
 */
size_t proxy_header_make(uint8_t *room, enum proxy_protocol version,
                         const struct proxy_addresses *addresses, SSL *ssl);

#endif
