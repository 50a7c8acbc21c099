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

static bool comes_before(const struct server *a, const struct server *b)
{
    return a->connections != b->connections ? a->connections < b->connections : a->total < b->total;
}

struct server *pool_choose(const struct pool *pool)
{
    struct server *chosen = &pool->servers[0];
    for (size_t i = 1; i < pool->server_count; i++)
        if (comes_before(&pool->servers[i], chosen))
            chosen = &pool->servers[i];
    chosen->connections++;
    chosen->total++;
    return chosen;
}

void pool_leave(struct server *server)
{
    server->connections--;
}

void pool_failed(const struct pool *pool, struct server *server, int cause)
{
    struct pools *pools = pool->pools;
    server->failed++;
    metric_add(&pools->metrics->backend_errors_total, 1);
    if (log_due(&pools->failure_logged, pools->loop->now))
        log_warning("backend \"%s\" (%s): %s", pool->name, server->name, strerror(cause));
}
