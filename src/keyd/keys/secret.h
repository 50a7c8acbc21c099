/*
 * Secret bytes outside libcrypto: key files and pass phrases while they are read, numbers on their
 * way to a driver. In the arena, and wiped when given back. Made and destroyed here only.
 */
#ifndef KEYD_KEYS_SECRET_H
#define KEYD_KEYS_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct secret {
    uint8_t *bytes; /* NULL: none */
    size_t length;  /* of what was read */
    size_t size;
    void *block; /* of the arena, which aligns to less */
};

/* Of a pass phrase or a PIN: what libcrypto's call-back has room for. */
#define PASS_PHRASE_MAX 1023

#define SECRET_INIT ((struct secret){0})

/* Room for `size` bytes, all zero, aligned to 64. False with errno. */
bool secret_new(struct secret *secret, size_t size);
/* Wipes. Harmless on SECRET_INIT. */
void secret_free(struct secret *secret);

#endif
