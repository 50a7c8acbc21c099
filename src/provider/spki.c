#include "provider/spki.h"

#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>

void spki_reader_init(struct spki_reader *reader, OSSL_LIB_CTX *context)
{
    *reader = (struct spki_reader){.context = context};
    pthread_mutex_init(&reader->lock, NULL);
}

void spki_reader_free(struct spki_reader *reader)
{
    OSSL_DECODER_CTX_free(reader->decoder);
    pthread_mutex_destroy(&reader->lock);
}

static EVP_PKEY *read_prepared(struct spki_reader *reader, const uint8_t **at, size_t *left)
{
    if (reader->decoder == NULL)
        reader->decoder =
            OSSL_DECODER_CTX_new_for_pkey(&reader->key, "DER", "SubjectPublicKeyInfo", NULL,
                                          EVP_PKEY_PUBLIC_KEY, reader->context, NULL);
    reader->key = NULL;
    ERR_set_mark();
    bool good = reader->decoder != NULL && OSSL_DECODER_from_data(reader->decoder, at, left) == 1;
    EVP_PKEY *key = reader->key;
    reader->key = NULL;
    if (good) {
        ERR_pop_to_mark(); /* what decoders of other types have left */
        return key;
    }
    ERR_clear_last_mark();
    EVP_PKEY_free(key);
    return NULL;
}

static EVP_PKEY *read_alone(const struct spki_reader *reader, const uint8_t **at, size_t *left)
{
    const uint8_t *begin = *at;
    EVP_PKEY *key = d2i_PUBKEY_ex(NULL, at, (long)*left, reader->context, NULL);
    *left -= (size_t)(*at - begin);
    return key;
}

/* A thread that waited for the lock would do so forever in a process that was forked while another
 * thread had it. */
EVP_PKEY *spki_read(struct spki_reader *reader, const uint8_t *spki, size_t length)
{
    bool alone = pthread_mutex_trylock(&reader->lock) != 0;
    EVP_PKEY *key =
        alone ? read_alone(reader, &spki, &length) : read_prepared(reader, &spki, &length);
    if (!alone)
        pthread_mutex_unlock(&reader->lock);
    if (key == NULL || length == 0)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}
