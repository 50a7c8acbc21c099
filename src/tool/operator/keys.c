#include "operator/keys.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"

#define ID_DIGITS_LEAST 8

struct listing {
    struct keys *keys;
    bool failed; /* out of memory */
};

static void key_free(struct listed_key *key)
{
    free(key->name);
    free(key->schemes);
    public_key_free(&key->public_key);
}

static bool key_copy(struct listed_key *key, const struct immure_key *listed)
{
    size_t schemes = listed->scheme_count * sizeof listed->schemes[0];
    *key = (struct listed_key){.name = strdup(listed->name),
                               .backend = listed->backend,
                               .lanes_backend = listed->lanes_backend,
                               .lanes_from = listed->lanes_from,
                               .lanes = listed->lanes,
                               .schemes = malloc(schemes + 1),
                               .scheme_count = listed->scheme_count};
    hex_encode(listed->id, sizeof listed->id, key->id);
    if (key->name != NULL && key->schemes != NULL &&
        public_key_take(&key->public_key, listed->spki, listed->spki_length)) {
        if (schemes > 0)
            memcpy(key->schemes, listed->schemes, schemes);
        return true;
    }
    key_free(key);
    return false;
}

static void take_key(void *arg, const struct immure_reply *reply)
{
    struct listing *listing = arg;
    struct keys *keys = listing->keys;
    const struct immure_key *listed = reply->key;
    if (listed == NULL || listing->failed)
        return;
    struct listed_key *list = realloc(keys->list, (keys->count + 1) * sizeof *list);
    if (list != NULL)
        keys->list = list;
    if (list != NULL && key_copy(&list[keys->count], listed))
        keys->count++;
    else
        listing->failed = true;
}

enum exit_status keys_ask(struct keys *keys, struct tool_connection *connection)
{
    *keys = (struct keys){0};
    struct listing listing = {.keys = keys};
    const struct immure_request request = {
        .operation = IMMURE_LIST, .callback = take_key, .arg = &listing};
    enum immure_error error =
        immure_blocking_request(connection->blocking, &request, connection->timeout);
    if (error == IMMURE_OK && listing.failed)
        error = IMMURE_E_MEMORY;
    if (error == IMMURE_OK)
        return EXIT_GOOD;
    enum exit_status status = connection_explain(connection, error);
    keys_free(keys);
    return status;
}

void keys_free(struct keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        key_free(&keys->list[i]);
    free(keys->list);
    *keys = (struct keys){0};
}

static bool is_named(const struct listed_key *key, const char *name)
{
    return strcmp(key->name, name) == 0;
}

static bool is_identified(const struct listed_key *key, const char *digits)
{
    return strncasecmp(key->id, digits, strlen(digits)) == 0;
}

static bool may_be_id(const char *name)
{
    for (const char *at = name; *at != '\0'; at++)
        if (!isxdigit((unsigned char)*at))
            return false;
    return strlen(name) >= ID_DIGITS_LEAST;
}

const struct listed_key *keys_find(const struct keys *keys, const char *name,
                                   struct tool_connection *connection)
{
    bool (*const ways[])(const struct listed_key *key, const char *name) = {is_named,
                                                                            is_identified};
    for (size_t way = 0; way < (may_be_id(name) ? 2 : 1); way++) {
        const struct listed_key *found = NULL;
        size_t count = 0;
        for (size_t i = 0; i < keys->count; i++) {
            if (ways[way](&keys->list[i], name)) {
                found = &keys->list[i];
                count++;
            }
        }
        if (count == 1)
            return found;
        if (count > 1) {
            snprintf(connection->problem, sizeof connection->problem,
                     "%s: %zu keys are called \"%s\"; name one by its key id", connection->socket,
                     count, name);
            return NULL;
        }
    }
    snprintf(connection->problem, sizeof connection->problem, "%s: immured has no key \"%s\"",
             connection->socket, name);
    return NULL;
}

enum exit_status key_ask(struct tool_connection *connection, const struct tool_options *options,
                         struct keys *keys, const struct listed_key **key)
{
    enum exit_status status = EXIT_UNREACHABLE;
    if (!connection_open(connection, options->socket, options->timeout))
        goto unreached;
    status = keys_ask(keys, connection);
    if (status != EXIT_GOOD)
        goto unasked;
    *key = keys_find(keys, options->operands[0], connection);
    if (*key != NULL)
        return EXIT_GOOD;
    status = EXIT_NO_KEY;
    keys_free(keys);
unasked:
    connection_close(connection);
unreached:
    complain("%s", connection->problem);
    return status;
}
