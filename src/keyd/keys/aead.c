#include "keyd/keys/aead.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>

static bool authenticate(EVP_CIPHER_CTX *context, const struct aead_text *text)
{
    int got;
    for (size_t i = 0; i < text->authenticated_count; i++) {
        const struct iovec *part = &text->authenticated[i];
        if (EVP_CipherUpdate(context, NULL, &got, part->iov_base, (int)part->iov_len) != 1)
            return false;
    }
    return true;
}

bool aead_apply(EVP_CIPHER *cipher, const uint8_t *key, bool seal,
                const uint8_t nonce[static AEAD_NONCE_SIZE], const struct aead_text *text)
{
    int got, length = (int)text->length;
    uint8_t *bytes = text->bytes, *tag = text->tag;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool good =
        context != NULL && EVP_CipherInit_ex2(context, cipher, key, nonce, seal, NULL) == 1 &&
        authenticate(context, text) &&
        (seal || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, tag) == 1) &&
        (length == 0 || EVP_CipherUpdate(context, bytes, &got, bytes, length) == 1) &&
        EVP_CipherFinal_ex(context, tag, &got) == 1 &&
        (!seal || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, tag) == 1);
    EVP_CIPHER_CTX_free(context);
    ERR_clear_error();
    if (!good)
        errno = EPROTO;
    return good;
}
