#include "proxy/worker/route/route.h"

#include <stdlib.h>

struct route *routes_make(const struct tls *tls, const struct pools *pools)
{
    struct route *routes = calloc(tls->frontend_count, sizeof *routes);
    for (size_t i = 0; routes != NULL && i < tls->frontend_count; i++) {
        const struct frontend_config *config = tls->frontends[i].config;
        routes[i] = (struct route){.name = config->name,
                                   .accept_proxy = config->accept_proxy,
                                   .tls = &tls->frontends[i],
                                   .pool = &pools->of[config->routes[0].backend]};
    }
    return routes;
}
