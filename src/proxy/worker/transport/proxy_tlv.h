/* The type-length-value fields of a PROXY header that this proxy writes itself (proxy-protocol.txt,
 * section 2.2). */
#ifndef PROXY_WORKER_TRANSPORT_PROXY_TLV_H
#define PROXY_WORKER_TRANSPORT_PROXY_TLV_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/bytes.h"

/* The longest certificate (DER) that a client may have. It fits into a header; with it a ticket
 * fits into a ClientHello (announced.h). */
#define CLIENT_CERTIFICATE_MAX 8192

enum proxy_tlv {
    TLV_ALPN = 0x01,
    TLV_AUTHORITY = 0x02,
    TLV_CRC32C = 0x03,
    TLV_NOOP = 0x04,
    TLV_SSL = 0x20
};

void proxy_tlv_write(struct writer *writer, uint8_t type, const void *value, size_t length);
/* Writes nothing if there is no text. */
void proxy_tlv_write_text(struct writer *writer, uint8_t type, const char *text);
/* Writes PP2_TYPE_SSL for an SSL after its handshake. `whole`: it contains the client's
 * certificate, if there is one, of at most CLIENT_CERTIFICATE_MAX bytes. */
void proxy_tlv_write_ssl(struct writer *writer, SSL *ssl, bool whole);

#endif
