/* immure key list */
#include <string.h>

#include "operator/json.h"
#include "operator/keys.h"

static void write_json(const struct keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        const struct key *key = &keys->list[i];
        json_open(NULL, '{');
        json_text("name", key->name);
        json_text("type", key->public_key.type);
        json_text("key_id", key->id);
        json_text("backend", key->backend);
        json_text("lanes_backend", key->lanes_backend);
        json_open("schemes", '[');
        for (size_t j = 0; j < key->scheme_count; j++)
            json_text(NULL, immure_scheme_name(key->schemes[j]));
        json_close(']');
        json_close('}');
    }
}

static size_t longer(size_t width, const char *text)
{
    size_t length = strlen(text);
    return length > width ? length : width;
}

static void write_row(const size_t *widths, const char *name, const char *type, const char *backend,
                      const char *lanes_backend, const char *id)
{
    printf("%-*s  %-*s  %-*s  %-*s  %s\n", (int)widths[0], name, (int)widths[1], type,
           (int)widths[2], backend, (int)widths[3], lanes_backend, id);
}

static const char *lanes_of(const struct key *key)
{
    return key->lanes_backend != NULL ? key->lanes_backend : "-";
}

static void write_table(const struct keys *keys)
{
    size_t widths[] = {strlen("NAME"), strlen("TYPE"), strlen("BACKEND"), strlen("LANES")};
    for (size_t i = 0; i < keys->count; i++) {
        const struct key *key = &keys->list[i];
        widths[0] = longer(widths[0], key->name);
        widths[1] = longer(widths[1], key->public_key.type);
        widths[2] = longer(widths[2], key->backend);
        widths[3] = longer(widths[3], lanes_of(key));
    }
    write_row(widths, "NAME", "TYPE", "BACKEND", "LANES", "KEY ID");
    for (size_t i = 0; i < keys->count; i++) {
        const struct key *key = &keys->list[i];
        write_row(widths, key->name, key->public_key.type, key->backend, lanes_of(key), key->id);
    }
}

enum exit_status key_list_run(const struct options *options)
{
    struct connection connection;
    struct keys keys;
    enum exit_status status = EXIT_UNREACHABLE;
    if (connection_open(&connection, options->socket, options->timeout)) {
        status = keys_ask(&keys, &connection);
        connection_close(&connection);
    }
    if (status != EXIT_GOOD) {
        complain("%s", connection.problem);
        return status;
    }
    if (options->json)
        write_json(&keys);
    else
        write_table(&keys);
    keys_free(&keys);
    return EXIT_GOOD;
}
