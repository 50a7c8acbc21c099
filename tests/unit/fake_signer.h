/* Replies like immured's, with private keys that the test holds itself. */
#ifndef TESTS_FAKE_SIGNER_H
#define TESTS_FAKE_SIGNER_H

#include <openssl/evp.h>

#include "peer.h"

struct fake_key {
    const char *label;
    EVP_PKEY *private;
    uint8_t *spki; /* OPENSSL_free */
    size_t spki_length;
    uint8_t id[WIRE_KEY_ID_SIZE];
};

/* Makes a key: "RSA" with its size in bits, "EC" with a curve, or "ED25519". */
void fake_key_make(struct fake_key *key, const char *label, const char *type, const char *curve,
                   size_t bits);
/* Makes an RSA-PSS key of 2048 bits that is restricted to this digest; NULL: unrestricted. */
void fake_key_make_pss(struct fake_key *key, const char *label, const char *digest);
/* Takes ownership of a key that the caller has made. */
void fake_key_take(struct fake_key *key, const char *label, EVP_PKEY *private);
void fake_key_release(struct fake_key *key);

/* Answers one SIGN with one of the keys. */
void fake_sign(struct peer *peer, const struct peer_request *request, const struct fake_key *keys,
               size_t count);

/* Answers one DECRYPT as TLS requires. */
void fake_decrypt(struct peer *peer, const struct peer_request *request,
                  const struct fake_key *keys, size_t count);

#endif
