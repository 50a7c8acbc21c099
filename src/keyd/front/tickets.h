/*
 * The keys of session tickets are derived from a secret file by HKDF-SHA256 (RFC 5869), one for
 * each epoch of wall-clock time. So every immured that has the secret gives out the same keys, and
 * no client ever gets the secret.
 */
#ifndef KEYD_FRONT_TICKETS_H
#define KEYD_FRONT_TICKETS_H

#include <openssl/types.h>

#include "keyd/keys/secret.h"
#include "wire/limits.h"

struct files;

struct tickets_config {
    char *secret_file; /* NULL: no ticket keys are given out */
    uint64_t epoch;    /* ns; whole seconds */
};

struct ticket_secret {
    struct secret secret; /* empty: none is configured */
    EVP_KDF *hkdf;
    uint32_t epoch_seconds;
};

/* Reads the secret from `files` if the configuration names one. False: reason logged. */
bool tickets_open(struct ticket_secret *tickets, const struct tickets_config *config,
                  const struct files *files);
/* Harmless on an all-zero struct. */
void tickets_close(struct ticket_secret *tickets);

bool tickets_configured(const struct ticket_secret *tickets);
/* The key of the epoch with this number, which is seconds since 1970 / epoch_seconds. False:
 * libcrypto failed. */
bool tickets_derive(const struct ticket_secret *tickets, uint64_t epoch,
                    uint8_t key[WIRE_TICKET_KEY_SIZE]);

#endif
