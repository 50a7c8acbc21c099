/*
 * What a TLS 1.2 client signs in its CertificateVerify: all handshake messages so far, from its
 * ClientHello to its ClientKeyExchange (RFC 5246, section 7.4.8).
 */
#ifndef KEYD_RULES_TRANSCRIPT_H
#define KEYD_RULES_TRANSCRIPT_H

#include <stddef.h>
#include <stdint.h>

#include "keyd/rules/ecdhe.h"

/*
 * NULL if the message is the messages of one handshake in their order, each as its RFC has it, to
 * its last byte, and the client's first certificate is of the key that signs; else one line that
 * says what is not so.
 */
const char *transcript_fault(struct ecdhe *ecdhe, const uint8_t *spki, size_t spki_length,
                             const uint8_t *message, size_t length);

#endif
