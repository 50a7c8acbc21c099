/*
 * The other end of a client's connection, in memory: parses what the client sends, keeps the
 * requests for the test, and gives the client the replies that the test makes.
 */
#ifndef TESTS_PEER_H
#define TESTS_PEER_H

#include "base/buffer.h"
#include "immure/client.h"
#include "wire/message.h"

#define PEER_REQUESTS_MAX 8192

struct peer_request {
    enum wire_type type;
    uint64_t id;
    uint8_t key_id[WIRE_KEY_ID_SIZE];
    uint16_t scheme;
    uint16_t client_version;
    uint32_t time_left;
    uint32_t first;
    uint8_t *message; /* or ciphertext; owned */
    size_t message_length;
};

struct peer {
    struct wire_decoder decoder;
    struct buffer output;
    uint16_t version;   /* the highest that it speaks */
    uint16_t in_flight; /* what WELCOME will say; 0: HELLO is not answered */
    size_t hellos;
    struct peer_request *requests; /* all but HELLO, in order */
    size_t count;
};

void peer_init(struct peer *peer, uint16_t in_flight);
void peer_release(struct peer *peer);
/* A new connection. The requests so far are forgotten. */
void peer_reset(struct peer *peer);
/* Takes bytes from the client. */
void peer_receive(struct peer *peer, const void *data, size_t length);
/* Takes all of the client's output, `chunk` bytes at a time. */
void peer_take(struct peer *peer, struct immure_client *client, size_t chunk, uint64_t now);
/* Gives the client all that the peer has sent, `chunk` bytes at a time, up to the first error. */
enum immure_error peer_give(struct peer *peer, struct immure_client *client, size_t chunk);

/* Sends a frame, even one of a length that its type cannot have. */
void peer_say_raw(struct peer *peer, enum wire_type type, uint64_t id, const void *payload,
                  size_t length);
void peer_say_signed(struct peer *peer, uint64_t id, const void *signature, size_t length);
void peer_say_error(struct peer *peer, uint64_t id, enum immure_error error, const char *text);

#endif
