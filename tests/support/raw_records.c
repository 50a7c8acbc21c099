#include "raw_records.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_SIZE 16
#define SECRET_SIZE 32
#define RANDOM_SIZE 32
#define TAG_SIZE 16
#define HEADER_SIZE 5
#define EXPLICIT_SIZE 8 /* of a TLS 1.2 nonce */
#define LABEL_CLIENT "CLIENT_TRAFFIC_SECRET_0 "

static void must(int good, const char *what)
{
    if (good == 1)
        return;
    fprintf(stderr, "raw records: %s failed\n", what);
    exit(EXIT_FAILURE);
}

static void derive(const char *kdf_name, OSSL_PARAM *params, uint8_t *out, size_t length)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, kdf_name, NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    must(context != NULL && EVP_KDF_derive(context, out, length, params) == 1, kdf_name);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}

/* HKDF-Expand-Label with an empty context: RFC 8446, section 7.1. */
static void expand(const uint8_t secret[SECRET_SIZE], const char *label, uint8_t *out,
                   size_t length)
{
    uint8_t info[64];
    int size = snprintf((char *)info + 3, sizeof info - 3, "tls13 %s", label);
    info[0] = 0;
    info[1] = (uint8_t)length;
    info[2] = (uint8_t)size;
    info[3 + size] = 0;
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, SECRET_SIZE),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, (size_t)size + 4),
        OSSL_PARAM_construct_end()};
    derive("HKDF", params, out, length);
}

static void use_key(struct raw_records *records, const uint8_t key[KEY_SIZE])
{
    records->sequence = 0;
    must(EVP_EncryptInit_ex(records->cipher, EVP_aes_128_gcm(), NULL, key, NULL), "the cipher");
}

static void use_secret(struct raw_records *records)
{
    uint8_t key[KEY_SIZE];
    expand(records->secret, "key", key, sizeof key);
    expand(records->secret, "iv", records->iv, sizeof records->iv);
    use_key(records, key);
}

static void open_tls12(struct raw_records *records, SSL *ssl)
{
    uint8_t master[SSL_MAX_MASTER_KEY_LENGTH], block[2 * KEY_SIZE + 2 * 4];
    static const char label[] = "key expansion";
    uint8_t seed[sizeof label - 1 + 2 * RANDOM_SIZE];
    char digest[] = "SHA256";
    size_t length = SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof master);
    memcpy(seed, label, sizeof label - 1);
    SSL_get_server_random(ssl, seed + sizeof label - 1, RANDOM_SIZE);
    SSL_get_client_random(ssl, seed + sizeof label - 1 + RANDOM_SIZE, RANDOM_SIZE);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master, length),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof seed),
        OSSL_PARAM_construct_end()};
    derive("TLS1-PRF", params, block, sizeof block);
    use_key(records, block);
    memcpy(records->iv, block + 2 * KEY_SIZE, 4);
    records->sequence = 1; /* Finished was the first */
}

/* The secret is the last 64 digits of the line. */
static void note_secret(const SSL *ssl, const char *line)
{
    size_t length = strlen(line);
    uint8_t *secret = SSL_get_app_data(ssl);
    if (strncmp(line, LABEL_CLIENT, strlen(LABEL_CLIENT)) != 0 || secret == NULL)
        return;
    for (size_t i = 0; i < SECRET_SIZE; i++)
        must(sscanf(line + length - 2 * (SECRET_SIZE - i), "%2hhx", &secret[i]), "the key log");
}

void raw_records_prepare(SSL_CTX *context)
{
    must(SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256"), "the suites");
    must(SSL_CTX_set_cipher_list(context,
                                 "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"),
         "the suites");
    SSL_CTX_set_keylog_callback(context, note_secret);
}

void raw_records_open(struct raw_records *records, SSL *ssl)
{
    records->version = SSL_version(ssl);
    records->cipher = EVP_CIPHER_CTX_new();
    must(records->cipher != NULL, "the cipher");
    if (records->version == TLS1_3_VERSION) {
        memcpy(records->secret, SSL_get_app_data(ssl), SECRET_SIZE);
        use_secret(records);
    } else {
        open_tls12(records, ssl);
    }
}

void raw_records_close(struct raw_records *records)
{
    EVP_CIPHER_CTX_free(records->cipher);
    records->cipher = NULL;
}

static void big_endian(uint8_t *out, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(number >> 8 * (size - 1 - i));
}

static void encrypt(struct raw_records *records, const uint8_t nonce[12], const uint8_t *more,
                    size_t more_length, uint8_t *bytes, size_t length)
{
    int done;
    must(EVP_EncryptInit_ex(records->cipher, NULL, NULL, NULL, nonce) == 1 &&
             EVP_EncryptUpdate(records->cipher, NULL, &done, more, (int)more_length) == 1 &&
             EVP_EncryptUpdate(records->cipher, bytes, &done, bytes, (int)length) == 1 &&
             EVP_EncryptFinal_ex(records->cipher, bytes + done, &done) == 1 &&
             EVP_CIPHER_CTX_ctrl(records->cipher, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE,
                                 bytes + length) == 1,
         "encryption");
}

static size_t write_tls13(struct raw_records *records, uint8_t *out, uint8_t type,
                          const void *content, size_t length)
{
    uint8_t nonce[12], sequence[12] = {0};
    out[0] = SSL3_RT_APPLICATION_DATA;
    big_endian(out + 1, TLS1_2_VERSION, 2);
    big_endian(out + 3, length + 1 + TAG_SIZE, 2);
    memcpy(out + HEADER_SIZE, content, length);
    out[HEADER_SIZE + length] = type;
    big_endian(sequence + 4, records->sequence++, 8);
    for (size_t i = 0; i < sizeof nonce; i++)
        nonce[i] = records->iv[i] ^ sequence[i];
    encrypt(records, nonce, out, HEADER_SIZE, out + HEADER_SIZE, length + 1);
    return HEADER_SIZE + length + 1 + TAG_SIZE;
}

static size_t write_tls12(struct raw_records *records, uint8_t *out, uint8_t type,
                          const void *content, size_t length)
{
    uint8_t nonce[12], more[13];
    big_endian(more, records->sequence, 8);
    more[8] = type;
    big_endian(more + 9, TLS1_2_VERSION, 2);
    big_endian(more + 11, length, 2);
    memcpy(nonce, records->iv, 4);
    big_endian(nonce + 4, records->sequence++, EXPLICIT_SIZE);
    memcpy(out, more + 8, 3);
    big_endian(out + 3, EXPLICIT_SIZE + length + TAG_SIZE, 2);
    memcpy(out + HEADER_SIZE, nonce + 4, EXPLICIT_SIZE);
    memcpy(out + HEADER_SIZE + EXPLICIT_SIZE, content, length);
    encrypt(records, nonce, more, sizeof more, out + HEADER_SIZE + EXPLICIT_SIZE, length);
    return HEADER_SIZE + EXPLICIT_SIZE + length + TAG_SIZE;
}

size_t raw_records_write(struct raw_records *records, uint8_t *out, uint8_t type,
                         const void *content, size_t length)
{
    return records->version == TLS1_3_VERSION ? write_tls13(records, out, type, content, length)
                                              : write_tls12(records, out, type, content, length);
}

void raw_records_update(struct raw_records *records)
{
    uint8_t next[SECRET_SIZE];
    expand(records->secret, "traffic upd", next, sizeof next);
    memcpy(records->secret, next, sizeof next);
    use_secret(records);
}
