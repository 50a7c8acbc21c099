/*
 * The groups of an ECDHE key exchange, and the public values in them that a TLS server or client
 * can have made (RFC 8422, section 5.4; RFC 7748).
 *
 * libcrypto's groups are made once, before immured enters its sandbox. Checking a value leaves
 * nothing allocated. Only one thread at a time may use a struct ecdhe.
 */
#ifndef KEYD_RULES_ECDHE_H
#define KEYD_RULES_ECDHE_H

#include <openssl/ec.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ECDHE_GROUPS 5
#define ECDHE_VALUE_MAX 133

/* A group as it appears in ServerECDHParams. */
struct ecdhe_group {
    uint16_t number; /* TLS NamedGroup */
    uint8_t size;    /* bytes of a public value; a point is uncompressed */
    bool common;     /* some client needs it; every client has at least one such group */
    int curve;       /* libcrypto's number of the NIST curve; 0: X25519 or X448 */
};

struct ecdhe {
    struct ecdhe_curve {
        EC_GROUP *curve;
        EC_POINT *point; /* scratch */
    } curves[ECDHE_GROUPS];
    BN_CTX *numbers; /* scratch */
};

/* False: libcrypto is out of memory or lacks a curve; there is nothing to close then. */
bool ecdhe_open(struct ecdhe *ecdhe);
/* All zeros is allowed. */
void ecdhe_close(struct ecdhe *ecdhe);

/* NULL: no key signs for this group. */
const struct ecdhe_group *ecdhe_group_find(uint16_t number);

/* Whether the value, which has the group's size, is a public key of this group: for a NIST curve an
 * uncompressed point that libcrypto finds on the curve; for X25519 and X448 a number that is
 * reduced modulo the field's prime, as every implementation writes it, and not of low order. */
bool ecdhe_value_is_good(struct ecdhe *ecdhe, const struct ecdhe_group *group,
                         const uint8_t *value);

#endif
