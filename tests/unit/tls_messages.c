#include "tls_messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

const uint8_t client_spki[] = "the client's SubjectPublicKeyInfo";
const size_t client_spki_length = sizeof client_spki - 1;

void put(struct message *message, const void *bytes, size_t length)
{
    assert_true(message->length + length <= sizeof message->bytes);
    memcpy(message->bytes + message->length, bytes, length);
    message->length += length;
}

void put_byte(struct message *message, unsigned value, size_t times)
{
    while (times-- > 0)
        put(message, &(uint8_t){(uint8_t)value}, 1);
}

static void put_u16(struct message *message, size_t value)
{
    put_byte(message, (unsigned)value >> 8, 1);
    put_byte(message, (unsigned)value & 0xff, 1);
}

static void put_u24(struct message *message, size_t value)
{
    put_byte(message, 0, 1);
    put_u16(message, value);
}

struct message tls13(const char *who, size_t hash)
{
    struct message message = {.length = 0};
    put_byte(&message, ' ', 64);
    put(&message, "TLS 1.3, ", 9);
    put(&message, who, 6);
    put(&message, " CertificateVerify", 19);
    put_byte(&message, 0x5a, hash);
    return message;
}

void put_public_value(struct message *message, unsigned group)
{
    static const char *const curves[] = {"P-256", "P-384", "P-521"};
    EVP_PKEY *pair = group >= 29 ? EVP_PKEY_Q_keygen(NULL, NULL, group == 29 ? "X25519" : "X448")
                                 : EVP_PKEY_Q_keygen(NULL, NULL, "EC", curves[group - 23]);
    uint8_t *value;
    size_t size = EVP_PKEY_get1_encoded_public_key(pair, &value);
    assert_true(size > 0);
    put(message, value, size);
    OPENSSL_free(value);
    EVP_PKEY_free(pair);
}

static void put_ecdh_params(struct message *message, unsigned group)
{
    put_byte(message, 3, 1);
    put_u16(message, group);
    put_byte(message, ecdhe_group_find((uint16_t)group)->size, 1);
    put_public_value(message, group);
}

struct message tls12(unsigned group, bool with_sentinel)
{
    struct message message = {.length = 0};
    put_byte(&message, 0xa5, with_sentinel ? 56 : 64);
    if (with_sentinel)
        put(&message, SENTINEL, 8);
    put_ecdh_params(&message, group);
    return message;
}

static struct message handshake(unsigned type, const struct message *body)
{
    struct message message = {.length = 0};
    put_byte(&message, type, 1);
    put_u24(&message, body->length);
    put(&message, body->bytes, body->length);
    return message;
}

static void put_hello(struct message *body, bool client)
{
    put_u16(body, 0x0303);
    put_byte(body, 0xa5, 32);
    put_byte(body, 32, 1); /* session id */
    put_byte(body, 0x11, 32);
    if (client)
        put_u16(body, 4); /* suites */
    put(body, "\xc0\x2b\xc0\x2f", client ? 4 : 2);
    if (client)
        put_byte(body, 1, 1);
    put_byte(body, 0, 1); /* compression */
    put_u16(body, 13);    /* extensions: extended_master_secret, ec_point_formats */
    put(body, "\0\x17\0\0", 4);
    put(body, "\0\x0b\0\5\1\2\3\4\5", 9);
}

/* A certificate of more than 256 bytes that begins with `text`. */
static void put_certificate(struct message *list, const void *text, size_t length)
{
    put_u24(list, 4 + 300);
    put(list, "\x30\x82", 2);
    put_u16(list, 300);
    put(list, text, length);
    put_byte(list, 0x77, 300 - length);
}

static struct message certificates(const void *text, size_t length)
{
    struct message list = {.length = 0}, body = {.length = 0};
    put_certificate(&list, text, length);
    put_u24(&list, 3 + 150); /* another certificate, whose length takes one byte */
    put(&list, "\x30\x81", 2);
    put_byte(&list, 150, 1);
    put_byte(&list, 0x78, 150);
    put_u24(&body, list.length);
    put(&body, list.bytes, list.length);
    return handshake(11, &body);
}

static void put_signature(struct message *body)
{
    put_u16(body, 0x0403);
    put_u16(body, 70);
    put_byte(body, 0x66, 70);
}

static void put_vector(struct message *body, unsigned value, size_t length)
{
    put_u16(body, length);
    put_byte(body, value, length);
}

struct transcript_parts tls12_client(enum key_exchange exchange, unsigned group)
{
    struct transcript_parts made = {.parts = {{.length = 0}}};
    struct message bodies[PARTS] = {{.length = 0}};
    put_hello(&bodies[PART_CLIENT_HELLO], true);
    put_hello(&bodies[PART_SERVER_HELLO], false);
    put(&bodies[PART_CERTIFICATE_STATUS], "\1\0\0\5\x30\3\x0a\1\0", 9);
    if (exchange == KEY_EXCHANGE_ECDHE) {
        put_ecdh_params(&bodies[PART_SERVER_KEY_EXCHANGE], group);
        put_byte(&bodies[PART_CLIENT_KEY_EXCHANGE], ecdhe_group_find((uint16_t)group)->size, 1);
        put_public_value(&bodies[PART_CLIENT_KEY_EXCHANGE], group);
    } else {
        if (exchange == KEY_EXCHANGE_DHE) {
            put_vector(&bodies[PART_SERVER_KEY_EXCHANGE], 0xf1, 256);
            put_vector(&bodies[PART_SERVER_KEY_EXCHANGE], 2, 1);
            put_vector(&bodies[PART_SERVER_KEY_EXCHANGE], 0x51, 256);
        }
        put_vector(&bodies[PART_CLIENT_KEY_EXCHANGE], 0x52, 256);
    }
    if (exchange != KEY_EXCHANGE_RSA)
        put_signature(&bodies[PART_SERVER_KEY_EXCHANGE]);
    put(&bodies[PART_CERTIFICATE_REQUEST], "\2\1\x40\0\4\4\3\x08\4\0\6\0\4\x30\2\x31\0", 17);

    static const uint8_t types[PARTS] = {1, 2, 11, 22, 12, 13, 14, 11, 16};
    for (size_t i = 0; i < PARTS; i++)
        made.parts[i] = handshake(types[i], &bodies[i]);
    made.parts[PART_SERVER_CERTIFICATE] = certificates("the server's", 12);
    made.parts[PART_CLIENT_CERTIFICATE] = certificates(client_spki, client_spki_length);
    if (exchange == KEY_EXCHANGE_RSA)
        made.parts[PART_SERVER_KEY_EXCHANGE].length = 0;
    return made;
}

struct message joined(const struct transcript_parts *transcript)
{
    struct message message = {.length = 0};
    for (size_t i = 0; i < PARTS; i++)
        put(&message, transcript->parts[i].bytes, transcript->parts[i].length);
    return message;
}
