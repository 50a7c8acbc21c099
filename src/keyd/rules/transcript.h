/*
 * The message that a TLS 1.2 client signs in its CertificateVerify: all handshake messages from its
 * ClientHello to its ClientKeyExchange (RFC 5246, section 7.4.8).
 */
#ifndef KEYD_RULES_TRANSCRIPT_H
#define KEYD_RULES_TRANSCRIPT_H

#include <stddef.h>
#include <stdint.h>

#include "keyd/rules/ecdhe.h"

/*
 * NULL if the message consists, to its last byte, of the messages of one handshake in order, each
 * well formed, and the client's first certificate is that of the signing key; else one line that
 * names the fault.
 */
const char *transcript_fault(struct ecdhe *ecdhe, const uint8_t *spki, size_t spki_length,
                             const uint8_t *message, size_t length);

#endif
