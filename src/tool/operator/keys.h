/* The list of keys of an immured. */
#ifndef OPERATOR_KEYS_H
#define OPERATOR_KEYS_H

#include <stddef.h>

#include "operator/connection.h"
#include "operator/public_key.h"

#define KEY_ID_TEXT_SIZE (2 * IMMURE_KEY_ID_SIZE + 1)

struct listed_key {
    char *name;
    char id[KEY_ID_TEXT_SIZE]; /* hexadecimal */
    struct public_key public_key;
    const char *backend, *lanes_backend; /* as in struct immure_key */
    unsigned lanes_from, lanes;
    uint16_t *schemes;
    size_t scheme_count;
};

struct keys {
    struct listed_key *list;
    size_t count;
};

/* EXIT_GOOD, or another status with connection->problem and nothing to free. */
enum exit_status keys_ask(struct keys *keys, struct tool_connection *connection);
void keys_free(struct keys *keys);

/*
 * The key with this name, or whose id begins with it (at least 8 hexadecimal digits). NULL with
 * connection->problem if there is none or more than one.
 */
const struct listed_key *keys_find(const struct keys *keys, const char *name,
                                   struct tool_connection *connection);

/* Connects, asks for the keys, finds the one in the options, and reports errors. The caller frees
 * the keys and closes the connection only after EXIT_GOOD. */
enum exit_status key_ask(struct tool_connection *connection, const struct tool_options *options,
                         struct keys *keys, const struct listed_key **key);

#endif
