/* The messages that TLS handshakes sign, made field by field, for the tests of the policies. */
#ifndef TLS_MESSAGES_H
#define TLS_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keyd/rules/ecdhe.h"

struct message {
    uint8_t bytes[4096];
    size_t length;
};

void put(struct message *message, const void *bytes, size_t length);
void put_byte(struct message *message, unsigned value, size_t times);

/* `who` is "server" or "client", and `hash` the length of the transcript hash. */
struct message tls13(const char *who, size_t hash);

/* RFC 8446, section 4.1.3. */
#define SENTINEL "DOWNGRD\1"
/* The randoms consist of 0xa5; the message ends with the public value of a key pair. */
struct message tls12(unsigned group, bool with_sentinel);
void put_public_value(struct message *message, unsigned group);

/* The SubjectPublicKeyInfo of the client's key in tls12_client(). */
extern const uint8_t client_spki[];
extern const size_t client_spki_length;

enum key_exchange { KEY_EXCHANGE_ECDHE, KEY_EXCHANGE_DHE, KEY_EXCHANGE_RSA };

/* The handshake messages of the transcript, in order. */
enum part {
    PART_CLIENT_HELLO,
    PART_SERVER_HELLO,
    PART_SERVER_CERTIFICATE,
    PART_CERTIFICATE_STATUS,
    PART_SERVER_KEY_EXCHANGE,
    PART_CERTIFICATE_REQUEST,
    PART_SERVER_HELLO_DONE,
    PART_CLIENT_CERTIFICATE,
    PART_CLIENT_KEY_EXCHANGE,
    PARTS
};
struct transcript_parts {
    struct message parts[PARTS];
};
struct transcript_parts tls12_client(enum key_exchange exchange, unsigned group);
struct message joined(const struct transcript_parts *transcript);

#endif
