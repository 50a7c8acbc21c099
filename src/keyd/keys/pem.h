/*
 * Reads private keys from PEM text. libcrypto's preparation costs more than decoding a key, so a
 * reader is prepared once and used for any number of keys.
 */
#ifndef KEYD_KEYS_PEM_H
#define KEYD_KEYS_PEM_H

#include <openssl/pem.h>
#include <openssl/types.h>

#include "keyd/keys/secret.h"

struct pem_reader;

/* NULL: out of memory. */
struct pem_reader *pem_reader_new(void);
/* Harmless on NULL. */
void pem_reader_free(struct pem_reader *reader);
/* Reads the first private key in the text, which may hold other things, too. If the key is
 * encrypted, `give` is asked for a pass phrase, perhaps more than once. NULL: no key can be read;
 * errors are left in libcrypto's queue. */
EVP_PKEY *pem_read_key(struct pem_reader *reader, const struct secret *text, pem_password_cb *give,
                       void *arg);

#endif
