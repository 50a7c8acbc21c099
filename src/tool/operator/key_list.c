/* immure key list */
#include <stdio.h>
#include <string.h>

#include "operator/json.h"
#include "operator/keys.h"

static void write_json(const struct keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        const struct listed_key *key = &keys->list[i];
        json_open(NULL, '{');
        json_text("name", key->name);
        json_text("type", key->public_key.type);
        json_text("key_id", key->id);
        json_text("backend", key->backend);
        json_text("lanes_backend", key->lanes_backend);
        json_count("lanes_from", key->lanes_from);
        json_count("lanes", key->lanes);
        json_open("schemes", '[');
        for (size_t j = 0; j < key->scheme_count; j++)
            json_text(NULL, immure_scheme_name(key->schemes[j]));
        json_close(']');
        json_close('}');
    }
}

enum { COLUMNS = 5, LANES_TEXT_SIZE = 64 };

/* Row `number` of the table; row 0 is the headings. `lanes` is a buffer for one of the texts. */
static void row_of(const struct keys *keys, size_t number, const char *row[COLUMNS],
                   char lanes[LANES_TEXT_SIZE])
{
    static const char *const headings[COLUMNS] = {"NAME", "TYPE", "BACKEND", "LANES", "KEY ID"};
    if (number == 0) {
        memcpy(row, headings, sizeof headings);
        return;
    }
    const struct listed_key *key = &keys->list[number - 1];
    snprintf(lanes, LANES_TEXT_SIZE, "-");
    if (key->lanes_backend != NULL)
        snprintf(lanes, LANES_TEXT_SIZE, "%s, %u to %u", key->lanes_backend, key->lanes_from,
                 key->lanes);
    row[0] = key->name;
    row[1] = key->public_key.type;
    row[2] = key->backend;
    row[3] = lanes;
    row[4] = key->id;
}

static void write_table(const struct keys *keys)
{
    const char *row[COLUMNS];
    size_t widths[COLUMNS] = {0};
    char lanes[LANES_TEXT_SIZE];
    for (size_t i = 0; i <= keys->count; i++) {
        row_of(keys, i, row, lanes);
        for (size_t j = 0; j < COLUMNS; j++)
            widths[j] = strlen(row[j]) > widths[j] ? strlen(row[j]) : widths[j];
    }
    for (size_t i = 0; i <= keys->count; i++) {
        row_of(keys, i, row, lanes);
        for (size_t j = 0; j < COLUMNS - 1; j++)
            printf("%-*s  ", (int)widths[j], row[j]);
        printf("%s\n", row[COLUMNS - 1]);
    }
}

enum exit_status key_list_run(const struct tool_options *options)
{
    struct tool_connection connection;
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
