/*
 * Secret bytes outside libcrypto: key files and pass phrases while they are read, and numbers on
 * their way to a driver. They lie in the arena and are wiped when they are freed.
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
    void *block; /* the arena's, which is less aligned */
};

/* The longest pass phrase or PIN: libcrypto's callback has no more room. */
#define PASS_PHRASE_MAX 1023

#define SECRET_INIT ((struct secret){0})

/* Allocates `size` bytes, all zero, aligned to 64. False with errno. */
bool secret_new(struct secret *secret, size_t size);
/* Wipes. Harmless on SECRET_INIT. */
void secret_free(struct secret *secret);

#endif
