/*
 * The groups of an ECDHE key exchange, and which public values in them a TLS server or client can
 * have made (RFC 8422, section 5.4; RFC 7748).
 *
 * libcrypto's groups are made once, before the doors close. Nothing is allocated for a value that
 * stays allocated. One thread at a time uses a struct ecdhe.
 */
#ifndef KEYD_RULES_ECDHE_H
#define KEYD_RULES_ECDHE_H

#include <openssl/ec.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ECDHE_GROUPS 5
#define ECDHE_VALUE_MAX 133

/* What ServerECDHParams say of a group: its number, and how long a public value in it is. */
struct ecdhe_group {
    uint16_t number; /* TLS NamedGroup */
    uint8_t size;    /* bytes of a public value; a point is uncompressed */
    bool common;     /* clients need it; of the others no client has only those */
    int curve;       /* libcrypto's number of the NIST curve; 0: X25519 or X448 */
};

struct ecdhe {
    struct ecdhe_curve {
        EC_GROUP *curve;
        EC_POINT *point; /* scratch */
    } curves[ECDHE_GROUPS];
    BN_CTX *numbers; /* scratch */
};

/* False: libcrypto has no memory or not these curves, and there is nothing to close. */
bool ecdhe_open(struct ecdhe *ecdhe);
/* All zeros is allowed. */
void ecdhe_close(struct ecdhe *ecdhe);

/* NULL: none that a key signs for. */
const struct ecdhe_group *ecdhe_group_find(uint16_t number);

/* Whether the value, of the group's size, is one that a key pair of this group can have: a point
 * on the NIST curve, uncompressed, by libcrypto's judgement; for X25519 and X448 reduced modulo the
 * field's prime, as every implementation writes it, and not of low order. */
bool ecdhe_value_is_good(struct ecdhe *ecdhe, const struct ecdhe_group *group,
                         const uint8_t *value);

#endif
