#include "keyd/keys/pem.h"

#include <openssl/bio.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct pem_reader {
    OSSL_DECODER_CTX *decoder;
    EVP_PKEY *pair; /* where the decoder puts its result */
};

struct pem_reader *pem_reader_new(void)
{
    struct pem_reader *reader = calloc(1, sizeof *reader);
    if (reader != NULL)
        reader->decoder = OSSL_DECODER_CTX_new_for_pkey(&reader->pair, "PEM", NULL, NULL,
                                                        EVP_PKEY_KEYPAIR, NULL, NULL);
    if (reader != NULL && reader->decoder != NULL)
        return reader;
    pem_reader_free(reader);
    return NULL;
}

void pem_reader_free(struct pem_reader *reader)
{
    if (reader == NULL)
        return;
    OSSL_DECODER_CTX_free(reader->decoder);
    free(reader);
}

/* Works for texts that begin with a key, as nearly all do. */
static EVP_PKEY *read_first(struct pem_reader *reader, BIO *text, pem_password_cb *give, void *arg)
{
    EVP_PKEY *pair = NULL;
    reader->pair = NULL;
    if (OSSL_DECODER_CTX_set_pem_password_cb(reader->decoder, give, arg) == 1 &&
        OSSL_DECODER_from_bio(reader->decoder, text) == 1)
        pair = reader->pair;
    reader->pair = NULL;
    ERR_clear_error();
    return pair;
}

EVP_PKEY *pem_read_key(struct pem_reader *reader, const struct secret *text, pem_password_cb *give,
                       void *arg)
{
    BIO *bio = BIO_new_mem_buf(text->bytes, (int)text->length);
    if (bio == NULL)
        return NULL;
    EVP_PKEY *pair = read_first(reader, bio, give, arg);
    if (pair == NULL && BIO_reset(bio) == 1)
        pair = PEM_read_bio_PrivateKey(bio, NULL, give, arg);
    BIO_free(bio);
    return pair;
}

struct der_reader {
    OSSL_DECODER_CTX *pairs, *publics;
    EVP_PKEY *key; /* where they put their results */
};

struct der_reader *der_reader_new(void)
{
    struct der_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return NULL;
    reader->pairs = OSSL_DECODER_CTX_new_for_pkey(&reader->key, "DER", NULL, NULL, EVP_PKEY_KEYPAIR,
                                                  NULL, NULL);
    reader->publics = OSSL_DECODER_CTX_new_for_pkey(&reader->key, "DER", "SubjectPublicKeyInfo",
                                                    NULL, EVP_PKEY_PUBLIC_KEY, NULL, NULL);
    if (reader->pairs != NULL && reader->publics != NULL)
        return reader;
    der_reader_free(reader);
    return NULL;
}

void der_reader_free(struct der_reader *reader)
{
    if (reader == NULL)
        return;
    OSSL_DECODER_CTX_free(reader->pairs);
    OSSL_DECODER_CTX_free(reader->publics);
    free(reader);
}

static EVP_PKEY *read_with(struct der_reader *reader, OSSL_DECODER_CTX *decoder, const uint8_t *der,
                           size_t length)
{
    reader->key = NULL;
    bool good = OSSL_DECODER_from_data(decoder, &der, &length) == 1;
    EVP_PKEY *key = reader->key;
    reader->key = NULL;
    ERR_clear_error();
    return good ? key : NULL;
}

EVP_PKEY *der_read_key(struct der_reader *reader, const uint8_t *der, size_t length)
{
    return read_with(reader, reader->pairs, der, length);
}

EVP_PKEY *der_read_public(struct der_reader *reader, const uint8_t *spki, size_t length)
{
    return read_with(reader, reader->publics, spki, length);
}
