/*
 * TLS records of any content type and size, with the keys of a client handshake by libssl: records
 * that libssl itself would not send.
 *
 * For TLS_AES_128_GCM_SHA256 (RFC 8446, section 5.2) and the AES128-GCM-SHA256 suites of TLS 1.2
 * (RFC 5246, section 6.2.3.3; RFC 5288).
 */
#ifndef TESTS_SUPPORT_RAW_RECORDS_H
#define TESTS_SUPPORT_RAW_RECORDS_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

#define RAW_RECORD_OVERHEAD 64 /* at most, beside the content */

struct raw_records {
    EVP_CIPHER_CTX *cipher;
    int version; /* TLS1_2_VERSION or TLS1_3_VERSION */
    uint64_t sequence;
    uint8_t secret[32]; /* of TLS 1.3 */
    uint8_t iv[12];     /* the first 4 bytes in TLS 1.2 */
};

/* Before the handshake: only what this can write is offered, and secrets are noted. */
void raw_records_prepare(SSL_CTX *context);
/* After it: takes over its sending direction, in which libssl has sent nothing yet. Ends the
 * program when libcrypto fails, as the others do. */
void raw_records_open(struct raw_records *records, SSL *ssl);
void raw_records_close(struct raw_records *records);
/* Writes a record to `out`, which has room; returns its length. */
size_t raw_records_write(struct raw_records *records, uint8_t *out, uint8_t type,
                         const void *content, size_t length);
/* The keys after a KeyUpdate. */
void raw_records_update(struct raw_records *records);

#endif
