/* The verbs that only look: list, show, sources. */
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "proxy/master/command_record.h"
#include "proxy/master/command_verbs.h"

/* Certificates that one piece of an answer looks at, most of which may not fit the pattern. */
#define LOOKS_MAX 256

typedef bool (*fits_fn)(const struct store *store, const struct store_certificate *certificate,
                        const char *text);

static void begin(struct command_client *client, const struct command_view *view)
{
    if (command_begin(client, view))
        client->store = store_share(view->generation->store);
}

/* ---- which certificates ---- */

static const char *path_of(const struct store *store, const struct store_certificate *certificate)
{
    return store_text(store, certificate->files[STORE_CHAIN_FILE].path);
}

static bool any_name(const struct store *store, const struct store_certificate *certificate,
                     bool (*fits)(const char *name, const char *text), const char *text)
{
    struct store_span left = certificate->names;
    for (uint32_t i = 0; i < certificate->name_count; i++) {
        const char *name = store_text(store, left);
        if (fits(name, text))
            return true;
        left.offset += (uint32_t)strlen(name) + 1;
    }
    return false;
}

static bool contains(const char *name, const char *text)
{
    return strcasestr(name, text) != NULL;
}

static bool equals(const char *name, const char *text)
{
    return strcasecmp(name, text) == 0;
}

static bool fits_pattern(const struct store *store, const struct store_certificate *certificate,
                         const char *text)
{
    char id[2 * STORE_HASH_SIZE + 1];
    return any_name(store, certificate, contains, text) ||
           contains(path_of(store, certificate), text) ||
           contains(hex_encode(certificate->key_id, STORE_HASH_SIZE, id), text);
}

/* The path of a file, or its last part: for certbot's files that is the folder's name. */
static bool is_file(const char *path, const char *text)
{
    static const char certbot[] = "/fullchain.pem";
    size_t length = strlen(path), end = strlen(certbot), text_length = strlen(text);
    if (strcmp(path, text) == 0)
        return true;
    if (length > end && strcmp(path + length - end, certbot) == 0)
        length -= end;
    return length > text_length && path[length - text_length - 1] == '/' &&
           strncmp(path + length - text_length, text, text_length) == 0;
}

static bool fits_name(const struct store *store, const struct store_certificate *certificate,
                      const char *text)
{
    char id[2 * STORE_HASH_SIZE + 1];
    return any_name(store, certificate, equals, text) ||
           is_file(path_of(store, certificate), text) ||
           equals(hex_encode(certificate->key_id, STORE_HASH_SIZE, id), text);
}

/* ---- their lines ---- */

/* Leaves the names that do not fit into the line in client->names. */
static void write_certificate(struct command_client *client,
                              const struct store_certificate *certificate)
{
    struct answer_line line;
    if (!answer_begin(client, &line))
        return;
    client->names = certificate->names;
    record_write(&line, client->generation, client->store, certificate);
    record_names(&line, client->store, &client->names);
    answer_write(client, &line);
    client->found++;
}

static bool looks_on(const struct command_client *client, unsigned looks)
{
    return !client->ended && looks < LOOKS_MAX && buffer_length(&client->answer) < ANSWER_PIECE &&
           client->next < store_certificate_count(client->store);
}

static void end(struct command_client *client)
{
    struct answer_line line;
    if (!answer_end(client, &line, "done"))
        return;
    answer_count(&line, "found", (int64_t)client->found);
    answer_count(&line, "certificates", (int64_t)store_certificate_count(client->store));
    answer_count(&line, "unusable", store_failed(client->store));
    answer_write(client, &line);
}

static const char *argument_of(const struct command_client *client)
{
    return client->request.count > 1 ? client->request.words[1] : "";
}

/* Whether there are more. `whole`: it stops at a certificate whose names are not all written. */
static bool look(struct command_client *client, fits_fn fits, bool whole)
{
    const char *text = argument_of(client);
    for (unsigned looks = 0; looks_on(client, looks); looks++) {
        const struct store_certificate *certificate =
            store_certificate(client->store, client->next++);
        if (fits(client->store, certificate, text))
            write_certificate(client, certificate);
        if (whole && client->names.length > 0)
            break;
    }
    return client->next < store_certificate_count(client->store);
}

void command_list_begin(struct command_client *client, const struct command_view *view)
{
    begin(client, view);
}

void command_list_go_on(struct command_client *client)
{
    if (command_is_in_force(client) && !look(client, fits_pattern, false) && !client->ended)
        end(client);
}

/* ---- show ---- */

static void write_more_names(struct command_client *client)
{
    struct answer_line line;
    if (!answer_begin(client, &line))
        return;
    record_names(&line, client->store, &client->names);
    answer_write(client, &line);
}

void command_show_begin(struct command_client *client, const struct command_view *view)
{
    begin(client, view);
}

void command_show_go_on(struct command_client *client)
{
    if (!command_is_in_force(client))
        return;
    if (client->names.length > 0) {
        write_more_names(client);
        return;
    }
    if (look(client, fits_name, true) || client->names.length > 0 || client->ended)
        return;
    if (client->found > 0)
        end(client);
    else
        answer_refuse(client, "failed", "no certificate has the name or file '%s'",
                      argument_of(client));
}

/* ---- sources ---- */

/* Where certificates can be put: the folders and lists of routes. */
void command_sources_begin(struct command_client *client, const struct command_view *view)
{
    begin(client, view);
}

static void write_source(struct command_client *client, const struct route_config *route)
{
    struct answer_line line;
    if ((route->directory == NULL && route->list == NULL) || !answer_begin(client, &line))
        return;
    record_place(&line, client->generation->config, (uint32_t)route->number);
    if (route->directory != NULL)
        answer_text(&line, "folder", route->directory);
    if (route->list != NULL)
        answer_text(&line, "list", route->list);
    answer_write(client, &line);
    client->found++;
}

static const struct route_config *route_at(const struct proxy_config *config, size_t number)
{
    for (size_t i = 0; i < config->frontend_count; i++) {
        if (number < config->frontends[i].route_count)
            return &config->frontends[i].routes[number];
        number -= config->frontends[i].route_count;
    }
    return NULL;
}

void command_sources_go_on(struct command_client *client)
{
    struct answer_line line;
    if (!command_is_in_force(client))
        return;
    const struct route_config *route = route_at(client->generation->config, client->next++);
    if (route != NULL) {
        write_source(client, route);
    } else if (answer_end(client, &line, "done")) {
        answer_count(&line, "found", (int64_t)client->found);
        answer_word(&line, "watched",
                    client->generation->config->certificates_watch ? "true" : "false");
        answer_write(client, &line);
    }
}
