/*
 * What a key may sign. A message to sign must parse, to its last byte, as what a TLS handshake
 * signs (RFC 8446, section 4.4.3; RFC 8422, section 5.4; RFC 5246, section 7.4.8), so that immured
 * is no general signing oracle.
 */
#ifndef KEYD_POLICY_H
#define KEYD_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/scheme.h"

enum policy {
    POLICY_TLS_SERVER,   /* a server's signature in TLS 1.3 or 1.2 */
    POLICY_TLS13_SERVER, /* in TLS 1.3 only */
    POLICY_TLS_CLIENT,   /* a client's signature in TLS 1.3 or 1.2 */
    POLICY_ANY           /* any message at all */
};

bool policy_find(const char *name, enum policy *policy);
const char *policy_name(enum policy policy);

/*
 * NULL if a key on `group` (OpenSSL's name of its curve; NULL if it has none) with this policy may
 * sign the message under the scheme, which the key is known to be able to; else one line that says
 * why not.
 */
const char *policy_check(enum policy policy, const struct wire_scheme *scheme, const char *group,
                         const uint8_t *message, size_t length);

#endif
