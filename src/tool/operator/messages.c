#include "operator/messages.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"

enum { CLIENT_HELLO = 1, CLIENT_KEY_EXCHANGE = 16, NAMED_CURVE = 3, X25519 = 29, HASH_SIZE = 32 };

static void write_random(struct writer *writer, size_t length)
{
    uint8_t bytes[64];
    if (getrandom(bytes, length, 0) != (ssize_t)length)
        abort(); /* not for so few bytes: getrandom(2) */
    write_bytes(writer, bytes, length);
}

/* RFC 8446, section 4.4.3; the 0 behind the context string is the literal's own. */
static size_t make_tls13(uint8_t *message, const char *context)
{
    struct writer writer = writer_of(message, MESSAGE_SIZE);
    for (unsigned i = 0; i < 64; i++)
        write_u8(&writer, ' ');
    write_bytes(&writer, context, strlen(context) + 1);
    write_random(&writer, HASH_SIZE);
    return (size_t)(writer.next - message);
}

static size_t make_tls13_server(uint8_t message[MESSAGE_SIZE])
{
    return make_tls13(message, "TLS 1.3, server CertificateVerify");
}

static size_t make_tls13_client(uint8_t message[MESSAGE_SIZE])
{
    return make_tls13(message, "TLS 1.3, client CertificateVerify");
}

/* Both randoms and ServerECDHParams: RFC 8422, section 5.4. */
static size_t make_tls12_server(uint8_t message[MESSAGE_SIZE])
{
    struct writer writer = writer_of(message, MESSAGE_SIZE);
    write_random(&writer, 64);
    write_u8(&writer, NAMED_CURVE);
    write_u16(&writer, X25519);
    write_u8(&writer, 32);
    write_random(&writer, 32);
    return (size_t)(writer.next - message);
}

static void write_handshake_message(struct writer *writer, uint8_t type)
{
    write_u8(writer, type);
    write_u8(writer, 0);
    write_u16(writer, 32);
    write_random(writer, 32);
}

/* All handshake messages so far: RFC 5246, section 7.4.8. */
static size_t make_tls12_client(uint8_t message[MESSAGE_SIZE])
{
    struct writer writer = writer_of(message, MESSAGE_SIZE);
    write_handshake_message(&writer, CLIENT_HELLO);
    write_handshake_message(&writer, CLIENT_KEY_EXCHANGE);
    return (size_t)(writer.next - message);
}

const struct message_shape message_shapes[] = {
    {"TLS 1.3 server", true, make_tls13_server},
    {"TLS 1.2 server", false, make_tls12_server},
    {"TLS 1.3 client", true, make_tls13_client},
    {"TLS 1.2 client", false, make_tls12_client},
};
const size_t message_shape_count = sizeof message_shapes / sizeof message_shapes[0];
