#include "provider/service.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct service *service_new(const char *socket)
{
    struct service *service = calloc(1, sizeof *service);
    if (service == NULL)
        return NULL;
    service->socket = strdup(socket);
    if (service->socket != NULL)
        return service;
    free(service);
    return NULL;
}

static void close_idle(struct service *service)
{
    for (size_t i = 0; i < SERVICE_IDLE_MAX; i++)
        immure_blocking_free(atomic_exchange(&service->idle[i], NULL));
}

static void service_free(struct service *service)
{
    close_idle(service);
    free(service->socket);
    free(service);
}

static struct service *find_before(struct service *from, const struct service *end,
                                   const char *socket)
{
    while (from != end && strcmp(from->socket, socket) != 0)
        from = from->next;
    return from != end ? from : NULL;
}

/* The list only ever grows at its front, so it needs no lock. */
struct service *services_find(struct services *services, const char *socket)
{
    struct service *first = atomic_load(&services->first);
    struct service *found = find_before(first, NULL, socket);
    if (found != NULL)
        return found;
    struct service *made = service_new(socket);
    while (made != NULL) {
        const struct service *seen = first;
        made->next = first;
        if (atomic_compare_exchange_strong(&services->first, &first, made))
            return made;
        found = find_before(first, seen, socket); /* among those that other threads have added */
        if (found != NULL) {
            service_free(made);
            return found;
        }
    }
    return NULL;
}

void services_free(struct services *services)
{
    struct service *service = atomic_exchange(&services->first, NULL);
    while (service != NULL) {
        struct service *next = service->next;
        service_free(service);
        service = next;
    }
}

struct immure_blocking *service_connect(const char *socket, const struct settings *settings)
{
    struct immure_blocking *exchange = immure_blocking_unix(socket);
    if (exchange != NULL && settings->demands_user)
        immure_blocking_demand_user(exchange, settings->peer_user);
    return exchange;
}

struct immure_blocking *service_take(struct service *service, const struct settings *settings)
{
    pid_t self = getpid();
    if (atomic_exchange(&service->pid, self) != self)
        close_idle(service);
    for (size_t i = 0; i < SERVICE_IDLE_MAX; i++) {
        struct immure_blocking *exchange = atomic_exchange(&service->idle[i], NULL);
        if (exchange != NULL)
            return exchange;
    }
    return service_connect(service->socket, settings);
}

void service_give(struct service *service, struct immure_blocking *exchange)
{
    for (size_t i = 0; i < SERVICE_IDLE_MAX; i++) {
        struct immure_blocking *none = NULL;
        if (atomic_compare_exchange_strong(&service->idle[i], &none, exchange))
            return;
    }
    immure_blocking_free(exchange);
}
