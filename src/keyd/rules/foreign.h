/*
 * What a message could be besides a TLS handshake. TLS 1.2 has no context string: the messages of
 * ServerKeyExchange and of a client's CertificateVerify begin with bytes that the client chooses,
 * and those of TLS 1.3 end with such bytes. Each structure that other protocols sign has bytes that
 * every instance must contain, its marks. A message with the marks of any such structure is
 * refused. docs/threat-model.md says why no instance lacks them. A protocol that signs arbitrary
 * bytes has no marks.
 *
 * The random bytes of an honest handshake have the marks of a structure by chance in at most one of
 * 2^37 handshakes.
 */
#ifndef KEYD_RULES_FOREIGN_H
#define KEYD_RULES_FOREIGN_H

#include <stddef.h>
#include <stdint.h>

/* Returns one line that names the structure whose marks the message has, or NULL. */
const char *foreign_find(const uint8_t *message, size_t length);

#endif
