#include "proxy/master/settings.h"

#include <string.h>

#include "base/log.h"
#include "proxy/master/controls.h"
#include "proxy/master/health.h"

struct server_config *settings_find(const struct backend_config *backend, const char *server)
{
    for (size_t i = 0; i < backend->server_count; i++)
        if (strcmp(backend->servers[i].address.text, server) == 0)
            return &backend->servers[i];
    return NULL;
}

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
    struct server_config *server = backend != NULL ? settings_find(backend, change->server) : NULL;
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
    controls_send_setting(generation, (uint32_t)(server - config->servers));
    health_send_server(generation, (uint32_t)(server - config->servers));
    return true;
}

void settings_inherit(const struct backend_config *backend, struct server_config *server,
                      const struct server_config *before)
{
    server->setting = before->setting;
    server->setting.weight = fit_weight(backend, server, before->setting.weight);
}
