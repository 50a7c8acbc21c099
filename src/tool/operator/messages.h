/* Messages as TLS signs them, with random content in place of a handshake's. */
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

/* One that a handshake of this key's owner could have. Returns its length; 0: the key is too long.
 */
size_t message_make(const struct message_shape *shape, const struct public_key *key,
                    uint8_t message[MESSAGE_SIZE]);

#endif
