#include "proxy/worker/route/route.h"

#include <stdlib.h>

static struct pool *pool_of(const struct route_config *route, const struct pools *pools)
{
    return route->backend != NO_BACKEND ? &pools->of[route->backend] : NULL;
}

static bool keeps_tlvs(const struct frontend_config *frontend, const struct pools *pools)
{
    bool keeps = false;
    for (size_t i = 0; i < frontend->route_count; i++) {
        const struct pool *pool = pool_of(&frontend->routes[i], pools);
        keeps |= pool != NULL && pool->proxy_tlvs;
    }
    return keeps;
}

struct route *routes_make(const struct tls *tls, const struct pools *pools)
{
    struct route *routes = calloc(tls->setup->config->route_count, sizeof *routes);
    for (size_t i = 0; routes != NULL && i < tls->frontend_count; i++) {
        const struct frontend_config *config = tls->frontends[i].config;
        for (size_t j = 0; j < config->route_count; j++)
            routes[config->routes[j].number] =
                (struct route){.frontend = &tls->frontends[i],
                               .name = config->name,
                               .accept_proxy = config->accept_proxy,
                               .keeps_tlvs = keeps_tlvs(config, pools),
                               .pool = pool_of(&config->routes[j], pools)};
    }
    return routes;
}
