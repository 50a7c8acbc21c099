#include "proxy/config/config.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <string.h>

const char *proxy_protocol_name(enum proxy_protocol protocol)
{
    static const char *const names[] = {[PROXY_PROTOCOL_NONE] = "none",
                                        [PROXY_PROTOCOL_V1] = "v1",
                                        [PROXY_PROTOCOL_V2] = "v2",
                                        [PROXY_PROTOCOL_ANY] = "any"};
    return names[protocol];
}

const char *signing_mode_name(enum signing_mode mode)
{
    static const char *const names[] = {
        [SIGNING_ASYNC] = "async", [SIGNING_SYNC] = "sync", [SIGNING_IN_PROCESS] = "in-process"};
    return names[mode];
}

const char *balance_name(enum balance balance)
{
    static const char *const names[] = {[BALANCE_LEAST_CONNECTIONS] = "least-connections",
                                        [BALANCE_ROUND_ROBIN] = "round-robin",
                                        [BALANCE_SOURCE] = "source",
                                        [BALANCE_RANDOM_TWO] = "random-two"};
    return names[balance];
}

const char *check_kind_name(enum check_kind kind)
{
    static const char *const names[] = {
        [CHECK_NONE] = "none", [CHECK_TCP] = "tcp", [CHECK_TLS] = "tls", [CHECK_HTTP] = "http"};
    return names[kind];
}

const char *server_health_name(enum server_health health)
{
    static const char *const names[] = {
        [HEALTH_UNKNOWN] = "unknown", [HEALTH_UP] = "up", [HEALTH_DOWN] = "down"};
    return names[health];
}

const char *server_mode_name(enum server_mode mode)
{
    static const char *const names[] = {
        [MODE_ENABLED] = "enabled", [MODE_DRAINED] = "drained", [MODE_DISABLED] = "disabled"};
    return names[mode];
}

const struct backend_config *config_find_backend(const struct proxy_config *config,
                                                 const char *name)
{
    for (size_t i = 0; i < config->backend_count; i++)
        if (strcmp(config->backends[i].name, name) == 0)
            return &config->backends[i];
    return NULL;
}

struct server_config *config_find_server(const struct backend_config *backend, const char *address)
{
    for (size_t i = 0; i < backend->server_count; i++)
        if (strcmp(backend->servers[i].address.text, address) == 0)
            return &backend->servers[i];
    return NULL;
}

unsigned server_weight(const struct server_config *server, const struct server_setting *setting)
{
    return setting->weight > 0 ? setting->weight : server->weight;
}

/* 0: the address is a path. */
static uint16_t port_of(const struct address *address)
{
    const struct sockaddr *any = (const struct sockaddr *)&address->socket;
    if (address->host != NULL)
        return address->port;
    if (any->sa_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)any)->sin_port);
    if (any->sa_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)any)->sin6_port);
    return 0;
}

size_t config_server_ports(const struct proxy_config *config, uint16_t *ports)
{
    size_t count = 0;
    for (size_t i = 0; i < config->server_count; i++) {
        ports[count] = port_of(&config->servers[i].address);
        count += ports[count] != 0;
    }
    return count;
}

struct certificate_config *certificate_walk_next(const struct proxy_config *config,
                                                 struct certificate_walk *walk)
{
    for (; walk->frontend < config->frontend_count; walk->frontend++, walk->route = 0) {
        const struct frontend_config *frontend = &config->frontends[walk->frontend];
        for (; walk->route < frontend->route_count; walk->route++, walk->certificate = 0)
            if (walk->certificate < frontend->routes[walk->route].certificate_count)
                return &frontend->routes[walk->route].certificates[walk->certificate++];
    }
    return NULL;
}

bool route_has_certificates(const struct route_config *route)
{
    return route->certificate_count > 0 || route->directory != NULL || route->list != NULL;
}

bool config_needs_keyd(const struct proxy_config *config)
{
    for (size_t i = 0; i < config->frontend_count; i++)
        for (size_t j = 0; j < config->frontends[i].route_count; j++)
            if (route_has_certificates(&config->frontends[i].routes[j]))
                return config->signing != SIGNING_IN_PROCESS;
    return false;
}

bool route_lacks_tls13(const struct route_config *route)
{
    return route->policy.tls_max == TLS1_2_VERSION && !route->passthrough;
}

bool route_serves_without_tls13(const struct frontend_config *frontend,
                                const struct route_config *route)
{
    bool lacks = route_lacks_tls13(route);
    for (size_t i = 0; route->own && i < frontend->route_count; i++)
        lacks |= !route_has_certificates(&frontend->routes[i]) &&
                 route_lacks_tls13(&frontend->routes[i]);
    return lacks;
}

const char *route_kind(const struct route_config *route)
{
    return route->own ? "frontend" : "route";
}
