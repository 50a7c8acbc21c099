/* Makes the messages that TLS signs, with random content. */
#ifndef OPERATOR_MESSAGES_H
#define OPERATOR_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "operator/public_key.h"

#define MESSAGE_SIZE 8192

struct message_shape {
    const char *name; /* "TLS 1.3 server" */
    bool tls13;
    void (*write)(struct writer *writer, const struct public_key *key);
};

extern const struct message_shape message_shapes[];
extern const size_t message_shape_count;

/* Makes a message that a handshake with this key could have. Returns its length, or 0 if the key is
 * too long. */
size_t message_make(const struct message_shape *shape, const struct public_key *key,
                    uint8_t message[MESSAGE_SIZE]);

#endif
