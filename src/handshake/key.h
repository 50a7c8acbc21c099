/* An X25519 key, shared by key management and key exchange. */
#ifndef HANDSHAKE_KEY_H
#define HANDSHAKE_KEY_H

#include "handshake/plain.h"

struct fast_handshake;

struct x25519_key {
    struct fast_handshake *fast;
    bool has_private, has_public;
    struct key_pair pair;
};

#endif
