/*
 * Reads public keys from their SubjectPublicKeyInfo (RFC 5280, section 4.1), in DER. libcrypto's
 * preparation costs several times what decoding a key does, so it is made once and kept.
 */
#ifndef PROVIDER_SPKI_H
#define PROVIDER_SPKI_H

#include <openssl/types.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct spki_reader {
    OSSL_LIB_CTX *context; /* of the keys that it makes */
    pthread_mutex_t lock;
    OSSL_DECODER_CTX *decoder; /* NULL: it was not needed yet */
    EVP_PKEY *key;             /* where the decoder puts its result */
};

void spki_reader_init(struct spki_reader *reader, OSSL_LIB_CTX *context);
void spki_reader_free(struct spki_reader *reader);

/* Any thread may call it, and none waits: while another one reads, it makes the preparation for
 * itself. NULL if the bytes are not exactly one SubjectPublicKeyInfo, or memory is short. */
EVP_PKEY *spki_read(struct spki_reader *reader, const uint8_t *spki, size_t length);

#endif
