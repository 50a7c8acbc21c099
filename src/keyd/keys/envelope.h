/*
 * What the file of a private key says about it without decoding the key: the PEM text, and in the
 * DER the algorithm. Decoding costs about a hundred times as much, so a hundred thousand keys are
 * only looked at in this way until they are used.
 */
#ifndef KEYD_KEYS_ENVELOPE_H
#define KEYD_KEYS_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keyd/keys/secret.h"
#include "wire/scheme.h"

struct envelope {
    uint8_t *der; /* PKCS #8, or the traditional form of RSA (RFC 8017) or EC (RFC 5915);
                     libcrypto's memory */
    size_t length;
    enum wire_key_type type;
    int bits; /* of RSA and EC; else 0 */
};

/* Opens the first private key in a PEM text. `pass_phrase` is for an encrypted key; NULL: there is
 * none. False: one line in `reason` (`size` bytes), and there is nothing to close. */
bool envelope_open(struct envelope *envelope, const struct secret *text,
                   const struct secret *pass_phrase, char *reason, size_t size);
/* Wipes the DER. */
void envelope_close(struct envelope *envelope);

#endif
