/*
 * What a key may sign. A message must have, to its last byte, a form that a TLS handshake signs
 * (RFC 8446, section 4.4.3; RFC 8422, section 5.4; RFC 5246, section 7.4.8), and the bytes that the
 * client chooses must not make it anything else, so that immured is no general signing oracle.
 * docs/threat-model.md describes the forms byte by byte.
 */
#ifndef KEYD_RULES_POLICY_H
#define KEYD_RULES_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keyd/rules/ecdhe.h"
#include "wire/scheme.h"

enum policy {
    POLICY_TLS_SERVER,   /* a server's signature in TLS 1.3, or in 1.2 if the server has 1.3 too */
    POLICY_TLS13_SERVER, /* in TLS 1.3 only */
    POLICY_TLS12_SERVER, /* in TLS 1.3 or 1.2, whether or not the server has 1.3 */
    POLICY_TLS_CLIENT,   /* a client's signature in TLS 1.3 or 1.2 */
    POLICY_ANY           /* any message at all */
};
#define POLICY_COUNT (POLICY_ANY + 1)

bool policy_find(const char *name, enum policy *policy);
const char *policy_name(enum policy policy);
/* Whether it is for servers, and so judges a message without the public key. */
bool policy_is_server(enum policy policy);
/* A warning that says what protection this policy gives up; NULL if it gives up none. */
const char *policy_warning(enum policy policy);

/* Why a request is refused. */
struct policy_refusal {
    const char *reason; /* one line, a literal; NULL: it is not refused */
    /* True: only a client that misbehaves sends such a request. False: the client's configuration
     * or a stranger who connects to the client may have caused it. */
    bool alarm;
};

/* A request for a signature. */
struct policy_request {
    enum policy policy;
    bool every_group; /* allow all groups of TLS 1.2, not only the common ones */
    const uint8_t *spki;
    size_t spki_length;
    const char *curve;                /* OpenSSL's name of the key's curve; NULL if it has none */
    const struct wire_scheme *scheme; /* the caller has checked that the key supports it */
    const uint8_t *message;
    size_t length;
};

struct policy_refusal policy_check(const struct policy_request *request, struct ecdhe *ecdhe);

/* The same for RSA key exchange. `allowed`: the key's configuration permits it. */
struct policy_refusal policy_check_decrypt(bool allowed, size_t modulus_size,
                                           size_t ciphertext_length, uint16_t client_version);

#endif
