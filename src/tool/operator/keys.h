/* The keys that an immured has, as it listed them. */
#ifndef OPERATOR_KEYS_H
#define OPERATOR_KEYS_H

#include <stddef.h>

#include "operator/connection.h"
#include "operator/public_key.h"

#define KEY_ID_TEXT_SIZE (2 * IMMURE_KEY_ID_SIZE + 1)

struct key {
    char *name;
    char id[KEY_ID_TEXT_SIZE]; /* hexadecimal */
    struct public_key public_key;
    const char *backend, *lanes_backend; /* as in struct immure_key */
    unsigned lanes_from, lanes;
    uint16_t *schemes;
    size_t scheme_count;
};

struct keys {
    struct key *list;
    size_t count;
};

/* EXIT_GOOD; or the status, with connection->problem, and nothing to free. */
enum exit_status keys_ask(struct keys *keys, struct connection *connection);
void keys_free(struct keys *keys);

/*
 * The one key of this name, or whose id begins with it: 8 hexadecimal digits at least. NULL if
 * there is none or more than one: connection->problem says which.
 */
const struct key *keys_find(const struct keys *keys, const char *name,
                            struct connection *connection);

/* The same, asked in one go: connects, asks, finds, complains. The caller frees keys and closes the
 * connection only if it gets EXIT_GOOD. */
enum exit_status key_ask(struct connection *connection, const struct options *options,
                         struct keys *keys, const struct key **key);

#endif
