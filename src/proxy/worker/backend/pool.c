#include "proxy/worker/backend/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static bool open_pool(struct pool *pool, struct pools *pools, const struct proxy_config *config,
                      const struct backend_config *from)
{
    *pool = (struct pool){.pools = pools,
                          .name = from->name,
                          .servers = calloc(1, sizeof *pool->servers),
                          .connect_timeout = config->connect_timeout,
                          .proxy_protocol = from->proxy_protocol,
                          .proxy_tlvs = from->proxy_tlvs,
                          .proxy_client_certificate = from->proxy_client_certificate};
    if (pool->servers == NULL)
        return false;
    pool->server_count = 1;
    pool->servers[0] = (struct server){.name = from->address.text, .addresses = from->addresses};
    return true;
}

bool pools_open(struct pools *pools, const struct proxy_config *config, struct loop *loop,
                struct thread_metrics *metrics)
{
    *pools = (struct pools){
        .loop = loop, .metrics = metrics, .of = calloc(config->backend_count, sizeof *pools->of)};
    bool good = pools->of != NULL;
    while (good && pools->count < config->backend_count) {
        size_t number = pools->count++;
        good = open_pool(&pools->of[number], pools, config, &config->backends[number]);
    }
    return good;
}

void pools_close(struct pools *pools)
{
    for (size_t i = 0; i < pools->count; i++)
        free(pools->of[i].servers);
    free(pools->of);
}

void pools_set_addresses(struct pools *pools, size_t pool, const struct server_addresses *addresses)
{
    if (pool < pools->count)
        pools->of[pool].servers[0].addresses = *addresses;
}

const struct server *pool_choose(const struct pool *pool)
{
    return &pool->servers[0];
}

void pool_failed(struct pool *pool, const struct server *server, int cause)
{
    struct pools *pools = pool->pools;
    metric_add(&pools->metrics->backend_errors_total, 1);
    if (log_due(&pools->failure_logged, pools->loop->now))
        log_warning("backend \"%s\" (%s): %s", pool->name, server->name, strerror(cause));
}
