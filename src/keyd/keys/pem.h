/*
 * Private keys out of PEM text. To get ready for one costs libcrypto more than to decode it, so a
 * reader is ready for any number of them.
 */
#ifndef KEYD_KEYS_PEM_H
#define KEYD_KEYS_PEM_H

#include <openssl/pem.h>
#include <openssl/types.h>

#include "keyd/keys/secret.h"

struct pem_reader;

/* NULL: libcrypto has no memory. */
struct pem_reader *pem_reader_new(void);
/* Harmless on NULL. */
void pem_reader_free(struct pem_reader *reader);
/* The first private key in the text, which may have other things in it. `give` is asked for a pass
 * phrase if it is encrypted, perhaps more than once. NULL: there is none that can be read; errors
 * are left in libcrypto's queue. */
EVP_PKEY *pem_read_key(struct pem_reader *reader, const struct secret *text, pem_password_cb *give,
                       void *arg);

#endif
