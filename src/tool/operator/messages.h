/* Messages as TLS signs them, with random content in place of a handshake's. */
#ifndef OPERATOR_MESSAGES_H
#define OPERATOR_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_SIZE 160

struct message_shape {
    const char *name; /* "TLS 1.3 server" */
    bool tls13;
    size_t (*make)(uint8_t message[MESSAGE_SIZE]);
};

extern const struct message_shape message_shapes[];
extern const size_t message_shape_count;

#endif
