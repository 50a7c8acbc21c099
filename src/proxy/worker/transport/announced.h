/*
 * Checks the lengths of the handshake messages that a client announces in the clear, before libssl
 * sees them. libssl allocates and clears a buffer for a whole message as soon as it has the four
 * bytes with its length: a client that has sent nine bytes could cost 131,396 bytes of memory.
 */
#ifndef PROXY_WORKER_TRANSPORT_ANNOUNCED_H
#define PROXY_WORKER_TRANSPORT_ANNOUNCED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The limit for a message. A ClientHello with key shares of all groups has a few thousand bytes. */
#define ANNOUNCED_MAX 16384

/* All zero at the beginning of a connection. */
struct announced {
    uint8_t record[5], message[4]; /* the headers that are being read */
    uint8_t record_had, message_had;
    bool handshake; /* the type of the present record is handshake */
    size_t record_left, message_left;
};

/* Takes the next bytes of the connection, as long as it is not encrypted. False: they announce a
 * message that is too long. */
bool announced_take(struct announced *announced, const void *bytes, size_t length);

#endif
