/*
 * Keys of session tickets: derived from a secret file by HKDF-SHA256 (RFC 5869), one for each epoch
 * of wall-clock time, so that every immured that has the secret gives out the same ones, and no
 * client ever gets the secret.
 */
#ifndef KEYD_FRONT_TICKETS_H
#define KEYD_FRONT_TICKETS_H

#include <openssl/types.h>

#include "keyd/keys/secret.h"
#include "wire/limits.h"

struct files;

struct tickets_config {
    char *secret_file; /* NULL: no keys of session tickets are given out */
    uint64_t epoch;    /* ns; whole seconds */
};

struct tickets {
    struct secret secret; /* no bytes: none is configured */
    EVP_KDF *hkdf;
    uint32_t epoch_seconds;
};

/* Reads the secret that the configuration names, if it does, from among `files`. False: reason
 * logged. */
bool tickets_open(struct tickets *tickets, const struct tickets_config *config,
                  const struct files *files);
/* Harmless on one that is zero. */
void tickets_close(struct tickets *tickets);

bool tickets_configured(const struct tickets *tickets);
/* The key of the epoch with this number: seconds since 1970 / epoch_seconds. False: libcrypto would
 * not. */
bool tickets_derive(const struct tickets *tickets, uint64_t epoch,
                    uint8_t key[WIRE_TICKET_KEY_SIZE]);

#endif
