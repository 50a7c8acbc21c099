/*
 * What a key may sign. A message to sign must be, to its last byte, of a form that a TLS handshake
 * signs (RFC 8446, section 4.4.3; RFC 8422, section 5.4; RFC 5246, section 7.4.8), and what the
 * asker chooses of it must not make anything else, so that immured is no general signing oracle.
 * docs/threat-model.md has the forms byte by byte.
 */
#ifndef KEYD_RULES_POLICY_H
#define KEYD_RULES_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keyd/rules/ecdhe.h"
#include "wire/scheme.h"

enum policy {
    POLICY_TLS_SERVER,   /* a server's signature in TLS 1.3, or 1.2 if it has TLS 1.3, too */
    POLICY_TLS13_SERVER, /* in TLS 1.3 only */
    POLICY_TLS12_SERVER, /* in TLS 1.3 or 1.2, with or without the other */
    POLICY_TLS_CLIENT,   /* a client's signature in TLS 1.3 or 1.2 */
    POLICY_ANY           /* any message at all */
};
#define POLICY_COUNT (POLICY_ANY + 1)

bool policy_find(const char *name, enum policy *policy);
const char *policy_name(enum policy policy);
/* What a key with this policy gives up that others keep: a line to warn with; NULL: nothing. */
const char *policy_warning(enum policy policy);

/* Why a request is refused. */
struct policy_refusal {
    const char *reason; /* one line, a literal; NULL: it is not refused */
    /* Only a client that misbehaves asks for this. Else it may be the doing of a stranger who
     * connects to the client, or of how the client is configured. */
    bool alarm;
};

/* A key that is asked to sign, and what. */
struct policy_request {
    enum policy policy;
    bool every_group; /* of TLS 1.2, not only the common ones */
    const uint8_t *spki;
    size_t spki_length;
    const char *curve;                /* OpenSSL's name of the key's; NULL if it has none */
    const struct wire_scheme *scheme; /* which the key is known to be able to */
    const uint8_t *message;
    size_t length;
};

struct policy_refusal policy_check(const struct policy_request *request, struct ecdhe *ecdhe);

/* Of RSA key exchange: whether the key's configuration allows it, the size of its modulus, and what
 * came from the client. */
struct policy_refusal policy_check_decrypt(bool allowed, size_t modulus_size,
                                           size_t ciphertext_length, uint16_t client_version);

#endif
