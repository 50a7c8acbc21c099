/*
 * What else a message could be. TLS 1.2 has no context string: what ServerKeyExchange and a
 * client's CertificateVerify sign begins with bytes that the asker chooses; and what TLS 1.3 signs
 * ends with such. Each structure that is signed elsewhere has bytes that it cannot do without, its
 * marks; a message that has those of any is refused, whatever else it is. docs/threat-model.md says
 * why none can do without. What signs any bytes at all has no marks.
 *
 * The random bytes of an honest handshake have the marks of one once in 2^37 handshakes or less
 * often.
 */
#ifndef KEYD_RULES_FOREIGN_H
#define KEYD_RULES_FOREIGN_H

#include <stddef.h>
#include <stdint.h>

/* One line that says which structure the message has the marks of; NULL: of none. */
const char *foreign_find(const uint8_t *message, size_t length);

#endif
