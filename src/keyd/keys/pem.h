/*
 * Reads private keys from PEM text and from DER. libcrypto's preparation costs more than decoding a
 * key, so a reader is prepared once and used for any number of keys.
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

/* The same for keys in DER: PKCS #8, or the traditional forms of RSA and EC. */
struct der_reader;

/* NULL: out of memory. */
struct der_reader *der_reader_new(void);
/* Harmless on NULL. */
void der_reader_free(struct der_reader *reader);
/* NULL: the key cannot be read. */
EVP_PKEY *der_read_key(struct der_reader *reader, const uint8_t *der, size_t length);
/* The public key in a SubjectPublicKeyInfo. NULL: it cannot be read. */
EVP_PKEY *der_read_public(struct der_reader *reader, const uint8_t *spki, size_t length);

#endif
