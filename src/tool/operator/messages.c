#include "operator/messages.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"

enum { NAMED_CURVE = 3, X25519 = 29, HASH_SIZE = 32, TLS12 = 0x0303, ECDSA_SHA256 = 0x0403 };
enum { ECDHE_ECDSA_AES128_GCM = 0xc02b, ECDSA_SIGN = 64 };

static void write_random(struct writer *writer, size_t length)
{
    uint8_t bytes[64];
    if (getrandom(bytes, length, 0) != (ssize_t)length)
        abort(); /* cannot fail for so few bytes, see getrandom(2) */
    write_bytes(writer, bytes, length);
}

/* RFC 8446, section 4.4.3. The literal's terminating zero is the separator after the context
 * string. */
static void write_tls13(struct writer *writer, const char *context)
{
    for (unsigned i = 0; i < 64; i++)
        write_u8(writer, ' ');
    write_bytes(writer, context, strlen(context) + 1);
    write_random(writer, HASH_SIZE);
}

static void write_tls13_server(struct writer *writer, const struct public_key *key)
{
    (void)key;
    write_tls13(writer, "TLS 1.3, server CertificateVerify");
}

static void write_tls13_client(struct writer *writer, const struct public_key *key)
{
    (void)key;
    write_tls13(writer, "TLS 1.3, client CertificateVerify");
}

/* Any value below 2^255 - 19 that is not tiny is valid (RFC 7748). */
static void write_public_value(struct writer *writer)
{
    write_u8(writer, 32);
    write_random(writer, 31);
    write_u8(writer, 0x5a);
}

static void write_ecdh_params(struct writer *writer)
{
    write_u8(writer, NAMED_CURVE);
    write_u16(writer, X25519);
    write_public_value(writer);
}

/* Both randoms and ServerECDHParams: RFC 8422, section 5.4. The end of the server's random is the
 * downgrade sentinel of a server that supports TLS 1.3: RFC 8446, section 4.1.3. */
static void write_tls12_server(struct writer *writer, const struct public_key *key)
{
    (void)key;
    write_random(writer, 56);
    write_bytes(writer, "DOWNGRD\1", 8);
    write_ecdh_params(writer);
}

static void begin_message(struct writer *writer, uint8_t type, size_t length)
{
    write_u8(writer, type);
    write_u8(writer, 0);
    write_u16(writer, (uint16_t)length);
}

#define HELLO_SIZE (2 + 32 + 1 + 2 + 1)

static void write_client_hello(struct writer *writer)
{
    begin_message(writer, 1, HELLO_SIZE + 3);
    write_u16(writer, TLS12);
    write_random(writer, 32);
    write_u8(writer, 0);  /* session id */
    write_u16(writer, 2); /* length of the cipher suites */
    write_u16(writer, ECDHE_ECDSA_AES128_GCM);
    write_u16(writer, 0x0100); /* one compression method: none */
}

static void write_server_hello(struct writer *writer)
{
    begin_message(writer, 2, HELLO_SIZE);
    write_u16(writer, TLS12);
    write_random(writer, 32);
    write_u8(writer, 0); /* session id */
    write_u16(writer, ECDHE_ECDSA_AES128_GCM);
    write_u8(writer, 0); /* compression */
}

/* One certificate, reduced to what a policy looks for: the SubjectPublicKeyInfo. */
static void write_certificate(struct writer *writer, const struct public_key *key)
{
    size_t length = 4 + key->spki_length;
    begin_message(writer, 11, 3 + 3 + length);
    write_u8(writer, 0);
    write_u16(writer, (uint16_t)(3 + length));
    write_u8(writer, 0);
    write_u16(writer, (uint16_t)length);
    write_u16(writer, 0x3082); /* a SEQUENCE with two octets of length */
    write_u16(writer, (uint16_t)key->spki_length);
    write_bytes(writer, key->spki, key->spki_length);
}

/* All handshake messages so far: RFC 5246, sections 7.3 and 7.4.8. */
static void write_tls12_client(struct writer *writer, const struct public_key *key)
{
    enum { SIGNATURE_SIZE = 64 };
    write_client_hello(writer);
    write_server_hello(writer);
    write_certificate(writer, key);
    begin_message(writer, 12, 4 + 32 + 4 + SIGNATURE_SIZE); /* ServerKeyExchange */
    write_ecdh_params(writer);
    write_u16(writer, ECDSA_SHA256);
    write_u16(writer, SIGNATURE_SIZE);
    write_random(writer, SIGNATURE_SIZE);
    begin_message(writer, 13, 8); /* CertificateRequest: types, schemes, no names */
    write_u8(writer, 1);
    write_u8(writer, ECDSA_SIGN);
    write_u16(writer, 2);
    write_u16(writer, ECDSA_SHA256);
    write_u16(writer, 0);
    begin_message(writer, 14, 0); /* ServerHelloDone */
    write_certificate(writer, key);
    begin_message(writer, 16, 1 + 32); /* ClientKeyExchange */
    write_public_value(writer);
}

const struct message_shape message_shapes[] = {
    {"TLS 1.3 server", true, write_tls13_server},
    {"TLS 1.2 server", false, write_tls12_server},
    {"TLS 1.3 client", true, write_tls13_client},
    {"TLS 1.2 client", false, write_tls12_client},
};
const size_t message_shape_count = sizeof message_shapes / sizeof message_shapes[0];

size_t message_make(const struct message_shape *shape, const struct public_key *key,
                    uint8_t message[MESSAGE_SIZE])
{
    struct writer writer = writer_of(message, MESSAGE_SIZE);
    shape->write(&writer, key);
    return writer.failed ? 0 : (size_t)(writer.next - message);
}
