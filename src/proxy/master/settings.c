#include "proxy/master/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/log.h"
#include "proxy/master/controls.h"
#include "proxy/master/health.h"

/* Of all settings that one master leaves to the next. */
#define SETTINGS_BYTES_MAX ((size_t)64 << 20)

unsigned settings_weight_max(const struct backend_config *backend,
                             const struct server_config *server)
{
    return backend->balance == BALANCE_SOURCE ? server->weight : SERVER_WEIGHT_MAX;
}

size_t settings_count_enabled(const struct backend_config *backend)
{
    size_t count = 0;
    for (size_t i = 0; i < backend->server_count; i++)
        count += backend->servers[i].setting.mode == MODE_ENABLED;
    return count;
}

/* Another configuration may not have room for a weight that was good in the one before. */
static uint32_t fit_weight(const struct backend_config *backend, const struct server_config *server,
                           uint32_t weight)
{
    if (weight <= settings_weight_max(backend, server))
        return weight;
    log_warning("backend \"%s\": server %s: the operator's weight %u is not kept: balance = source "
                "has room for that of the configuration, %u",
                backend->name, server->address.text, weight, server->weight);
    return 0;
}

bool settings_change(struct generation *generation, const struct setting_change *change)
{
    const struct proxy_config *config = generation->config;
    const struct backend_config *backend = config_find_backend(config, change->backend);
    struct server_config *server =
        backend != NULL ? config_find_server(backend, change->server) : NULL;
    if (server == NULL)
        return false;
    struct server_setting next = server->setting;
    if (change->kind == SETTING_MODE)
        next.mode = change->mode;
    else
        next.weight = fit_weight(backend, server, change->weight);
    if (next.mode == server->setting.mode && next.weight == server->setting.weight)
        return false;
    next.changes++;
    server->setting = next;
    controls_send_server(generation, (uint32_t)(server - config->servers), OWED_SETTING);
    health_send_server(generation, (uint32_t)(server - config->servers));
    return true;
}

static void inherit(const struct backend_config *backend, const struct backend_config *before)
{
    for (size_t i = 0; i < backend->server_count; i++) {
        struct server_config *server = &backend->servers[i];
        const struct server_config *known = config_find_server(before, server->address.text);
        if (known == NULL)
            continue;
        server->setting = known->setting;
        server->setting.weight = fit_weight(backend, server, known->setting.weight);
    }
}

void settings_inherit(struct generation *generation, const struct generation *before)
{
    const struct proxy_config *config = generation->config;
    for (size_t i = 0; before != NULL && i < config->backend_count; i++) {
        const struct backend_config *backend = &config->backends[i];
        const struct backend_config *known = config_find_backend(before->config, backend->name);
        if (known != NULL)
            inherit(backend, known);
    }
}

/* ---- from one master to the next ---- */

/* Each server is three texts, which zero bytes end: the backend, the server, and mode and weight.
 */
static void write_setting(FILE *out, const struct backend_config *backend,
                          const struct server_config *server)
{
    const struct server_setting *setting = &server->setting;
    if (setting->mode != MODE_ENABLED || setting->weight != 0)
        fprintf(out, "%s%c%s%c%d %u%c", backend->name, 0, server->address.text, 0,
                (int)setting->mode, setting->weight, 0);
}

int settings_to_memory(const struct generation *generation, bool *good)
{
    const struct proxy_config *config = generation->config;
    char *text = NULL;
    size_t length = 0;
    int memory = -1;
    FILE *out = open_memstream(&text, &length);
    for (size_t i = 0; out != NULL && i < config->server_count; i++)
        write_setting(out, &config->backends[config->servers[i].backend], &config->servers[i]);
    *good = out != NULL && fclose(out) == 0;
    if (*good && length > 0) {
        memory = descriptor_of_bytes("settings", text, length);
        *good = memory >= 0;
    }
    free(text);
    return memory;
}

/* Returns the text at *from, and goes on behind it. NULL: there is none that ends. */
static const char *next_text(const char **from, const char *end)
{
    const char *text = *from, *zero = memchr(text, '\0', (size_t)(end - text));
    *from = zero != NULL ? zero + 1 : end;
    return zero != NULL ? text : NULL;
}

/* "1 5": the mode, a digit, and the weight. */
static bool read_values(struct setting_change *change, const char *values)
{
    char *end;
    if (values == NULL || values[0] < '0' || values[0] >= '0' + SERVER_MODE_COUNT ||
        values[1] != ' ' || values[2] < '0' || values[2] > '9')
        return false;
    unsigned long weight = strtoul(values + 2, &end, 10);
    change->mode = (enum server_mode)(values[0] - '0');
    change->weight = (uint32_t)weight;
    return *end == '\0' && weight <= SERVER_WEIGHT_MAX;
}

static bool take_setting(struct generation *generation, const char **from, const char *end)
{
    struct setting_change change = {.kind = SETTING_MODE};
    change.backend = next_text(from, end);
    change.server = next_text(from, end);
    if (!read_values(&change, next_text(from, end)))
        return false;
    settings_change(generation, &change);
    change.kind = SETTING_WEIGHT;
    settings_change(generation, &change);
    return true;
}

bool settings_from_memory(struct generation *generation, int memory)
{
    struct stat status;
    if (memory < 0)
        return true;
    if (fstat(memory, &status) != 0)
        return false;
    size_t length = (size_t)status.st_size;
    char *text = length <= SETTINGS_BYTES_MAX ? malloc(length + 1) : NULL;
    bool good = text != NULL && pread(memory, text, length, 0) == (ssize_t)length;
    const char *at = text, *end = text + (good ? length : 0);
    while (good && at < end)
        good = take_setting(generation, &at, end);
    free(text);
    if (!good)
        errno = EPROTO;
    return good;
}
