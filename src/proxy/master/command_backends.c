/* The verbs about the servers of backends: backends only looks; enable, drain, disable and weight
 * set something for one of them. */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/spelling.h"
#include "proxy/master/command_verbs.h"
#include "proxy/master/settings.h"
#include "proxy/shared/servers.h"

#define NAMES_TEXT_SIZE 512

/* ---- names that there are not ---- */

static const char *backend_name(const void *owner, size_t number)
{
    return ((const struct proxy_config *)owner)->backends[number].name;
}

static const char *server_name(const void *owner, size_t number)
{
    return ((const struct backend_config *)owner)->servers[number].address.text;
}

/* What the operator may have meant, and what there is, as far as there is room. */
static const char *suggest(const char *given, const void *owner, size_t count,
                           const char *(*name_of)(const void *owner, size_t number),
                           char text[NAMES_TEXT_SIZE])
{
    size_t length = 0, told = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && length == 0; i++)
        if (spelling_is_slip(given, name_of(owner, i)))
            length = (size_t)snprintf(text, NAMES_TEXT_SIZE, "; did you mean '%.200s'?",
                                      name_of(owner, i));
    length += (size_t)snprintf(text + length, NAMES_TEXT_SIZE - length, "%s", "; there are: ");
    for (; told < count; told++) {
        const char *name = name_of(owner, told), *comma = told > 0 ? ", " : "";
        if (length + strlen(name) > NAMES_TEXT_SIZE - 40)
            break;
        length += (size_t)snprintf(text + length, NAMES_TEXT_SIZE - length, "%s%s", comma, name);
    }
    if (told < count)
        snprintf(text + length, NAMES_TEXT_SIZE - length, "%s%zu more", told > 0 ? " and " : "",
                 count - told);
    return text;
}

/* NULL: there is none, and the answer says so. */
static const struct backend_config *
find_backend(struct command_client *client, const struct proxy_config *config, const char *name)
{
    char names[NAMES_TEXT_SIZE];
    const struct backend_config *backend = config_find_backend(config, name);
    if (backend == NULL)
        answer_refuse(client, "failed", "there is no backend '%.200s'%s", name,
                      suggest(name, config, config->backend_count, backend_name, names));
    return backend;
}

static const struct server_config *
find_server(struct command_client *client, const struct backend_config *backend, const char *name)
{
    char names[NAMES_TEXT_SIZE];
    const struct server_config *server = config_find_server(backend, name);
    if (server == NULL)
        answer_refuse(client, "failed", "backend '%.100s' has no server '%.200s'%s", backend->name,
                      name, suggest(name, backend, backend->server_count, server_name, names));
    return server;
}

/* ---- the line of a server ---- */

/* As the status page names it, from what the master knows. */
static const char *state_of(const struct server_config *server)
{
    return server_state_name(
        server_state_of(server->setting.mode, server->verdict.health, server->trial_at != 0));
}

static void write_addresses(struct answer_line *line, const struct server_addresses *addresses)
{
    char text[ADDRESS_TEXT_SIZE];
    answer_list(line, "addresses");
    for (unsigned i = 0; i < addresses->count; i++) {
        address_print(&addresses->of[i].socket, text);
        answer_item(line, text);
    }
    answer_list_end(line);
}

static void write_server(struct command_client *client, const struct backend_config *backend,
                         const struct server_config *server)
{
    struct answer_line line;
    if (!answer_begin(client, &line))
        return;
    answer_text(&line, "backend", backend->name);
    answer_text(&line, "server", server->address.text);
    write_addresses(&line, &server->addresses);
    answer_text(&line, "state", state_of(server));
    answer_text(&line, "checks", server_health_name(server->verdict.health));
    if (server->verdict.reason[0] != '\0')
        answer_text(&line, "reason", server->verdict.reason);
    answer_word(&line, "paused", server->trial_at != 0 ? "true" : "false");
    answer_text(&line, "operator", server_mode_name(server->setting.mode));
    answer_count(&line, "weight", server_weight(server, &server->setting));
    answer_count(&line, "configured_weight", server->weight);
    answer_word(&line, "backup", server->backup ? "true" : "false");
    answer_write(client, &line);
    client->found++;
}

/* ---- backends ---- */

void command_backends_begin(struct command_client *client, const struct command_view *view)
{
    if (command_begin(client, view) && client->request.count > 1)
        find_backend(client, view->generation->config, client->request.words[1]);
}

void command_backends_go_on(struct command_client *client)
{
    struct answer_line line;
    if (!command_is_in_force(client))
        return;
    const struct proxy_config *config = client->generation->config;
    const struct backend_config *only =
        client->request.count > 1 ? config_find_backend(config, client->request.words[1]) : NULL;
    const struct server_config *servers = only != NULL ? only->servers : config->servers;
    size_t count = only != NULL ? only->server_count : config->server_count;
    while (client->next < count && !client->ended &&
           buffer_length(&client->answer) < ANSWER_PIECE) {
        const struct server_config *server = &servers[client->next++];
        write_server(client, &config->backends[server->backend], server);
    }
    if (client->next < count || client->ended || !answer_end(client, &line, "done"))
        return;
    answer_count(&line, "found", (int64_t)client->found);
    answer_count(&line, "servers", (int64_t)config->server_count);
    answer_write(client, &line);
}

/* ---- changes ---- */

static void log_change(const struct command_client *client, const struct backend_config *backend,
                       const struct server_config *server, const struct server_setting *before)
{
    const struct server_setting *now = &server->setting;
    char what[64];
    if (now->mode != before->mode)
        snprintf(what, sizeof what, "%s -> %s", server_mode_name(before->mode),
                 server_mode_name(now->mode));
    else
        snprintf(what, sizeof what, "weight %u -> %u%s", server_weight(server, before),
                 server_weight(server, now), now->weight == 0 ? ", as configured" : "");
    log_info("control-socket: user %u (pid %d): backend \"%s\": server %s: %s",
             (unsigned)client->peer.uid, (int)client->peer.pid, backend->name, server->address.text,
             what);
    if (now->mode != before->mode && settings_count_enabled(backend) == 0)
        log_warning("backend \"%s\": the operator has drained or disabled all servers: its clients "
                    "are refused",
                    backend->name);
}

/* A configuration that is coming up will be in force, and an old worker may still have handshakes
 * under way, so all of them hear of it. */
static bool change_all(const struct command_view *view, const struct setting_change *change)
{
    bool changed = settings_change(view->generation, change);
    if (view->pending != NULL)
        settings_change(view->pending, change);
    list_for_each(node, view->leaving)
        settings_change(list_entry(node, struct generation, node), change);
    return changed;
}

static void set(struct command_client *client, const struct command_view *view,
                const struct backend_config *backend, const struct server_config *server,
                const struct setting_change *change)
{
    struct answer_line line;
    const struct server_setting before = server->setting;
    bool changed = change_all(view, change);
    if (changed)
        log_change(client, backend, server, &before);
    write_server(client, backend, server);
    if (client->ended || !answer_end(client, &line, "done"))
        return;
    answer_word(&line, "changed", changed ? "true" : "false");
    answer_count(&line, "enabled", (int64_t)settings_count_enabled(backend));
    answer_count(&line, "servers", (int64_t)backend->server_count);
    answer_write(client, &line);
}

/* False: it is no weight, or not one for this server, and the answer says so. */
static bool read_weight(struct command_client *client, const struct backend_config *backend,
                        const struct server_config *server, const char *text, uint32_t *weight)
{
    unsigned most = settings_weight_max(backend, server);
    uint32_t value = 0;
    *weight = 0;
    if (strcmp(text, "default") == 0)
        return true;
    for (const char *at = text; *at >= '0' && *at <= '9' && value <= SERVER_WEIGHT_MAX; at++)
        value = value * 10 + (uint32_t)(*at - '0');
    *weight = value;
    if (text[strspn(text, "0123456789")] != '\0' || value == 0 || value > SERVER_WEIGHT_MAX)
        answer_refuse(client, "failed",
                      "'%.100s' is no weight: 1 to %d, or default; drain stops new connections",
                      text, SERVER_WEIGHT_MAX);
    else if (value > most)
        answer_refuse(client, "failed",
                      "with balance = source the weight cannot be higher than that of the "
                      "configuration, %u",
                      most);
    return !client->ended;
}

static void change(struct command_client *client, const struct command_view *view,
                   enum setting_kind kind, enum server_mode mode)
{
    const char *const *words = client->request.words;
    struct setting_change change = {
        .backend = words[1], .server = words[2], .kind = kind, .mode = mode};
    if (!command_begin(client, view))
        return;
    if (view->upgrades) {
        answer_refuse(client, "busy", "another master is coming up");
        return;
    }
    const struct backend_config *backend =
        find_backend(client, view->generation->config, change.backend);
    const struct server_config *server =
        backend != NULL ? find_server(client, backend, change.server) : NULL;
    if (server != NULL &&
        (kind == SETTING_MODE || read_weight(client, backend, server, words[3], &change.weight)))
        set(client, view, backend, server, &change);
}

void command_enable_begin(struct command_client *client, const struct command_view *view)
{
    change(client, view, SETTING_MODE, MODE_ENABLED);
}

void command_drain_begin(struct command_client *client, const struct command_view *view)
{
    change(client, view, SETTING_MODE, MODE_DRAINED);
}

void command_disable_begin(struct command_client *client, const struct command_view *view)
{
    change(client, view, SETTING_MODE, MODE_DISABLED);
}

void command_weight_begin(struct command_client *client, const struct command_view *view)
{
    change(client, view, SETTING_WEIGHT, MODE_ENABLED);
}
