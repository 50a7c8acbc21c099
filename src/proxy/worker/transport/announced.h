/*
 * How long the handshake messages are that a client announces in the clear, seen before libssl
 * sees it. libssl makes and clears room for a whole message as soon as it has the four bytes that
 * tell its length: 131,396 bytes for a ClientHello, for each client that has sent nine.
 */
#ifndef PROXY_WORKER_TRANSPORT_ANNOUNCED_H
#define PROXY_WORKER_TRANSPORT_ANNOUNCED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of one message. A ClientHello with the keys of all groups has a few thousand bytes. */
#define ANNOUNCED_MAX 16384

/* All zero at the beginning of a connection. */
struct announced {
    uint8_t record[5], message[4]; /* the header under way */
    uint8_t record_had, message_had;
    bool handshake; /* the record under way is of a handshake */
    size_t record_left, message_left;
};

/* The next bytes of the connection, as long as it is not encrypted. False: they announce a message
 * that is too long. */
bool announced_take(struct announced *announced, const void *bytes, size_t length);

#endif
