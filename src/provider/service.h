/*
 * An immured that holds keys, identified by its socket: its state, and a pool of idle connections
 * to it. There is no lock, because a lock that another thread holds during fork() stays locked in
 * the child for ever. Any thread may use it.
 */
#ifndef PROVIDER_SERVICE_H
#define PROVIDER_SERVICE_H

#include <stdatomic.h>
#include <sys/types.h>

#include "immure/blocking.h"
#include "provider/settings.h"

#define SERVICE_IDLE_MAX 64 /* further connections are closed when returned */

struct service {
    struct service *next;
    char *socket;
    atomic_bool away; /* the last request failed to connect or timed out */
    _Atomic(struct immure_blocking *) idle[SERVICE_IDLE_MAX];
    _Atomic pid_t pid; /* the process that opened the idle connections */
};

/* All services ever named. They live until the provider is unloaded. */
struct services {
    _Atomic(struct service *) first;
};

/* The service at this socket, created if necessary. NULL: out of memory. */
struct service *services_find(struct services *services, const char *socket);
/* Closes all connections, with close() and without shutdown(), because forked children may still
 * use them. */
void services_free(struct services *services);

/* A new exchange with the immured at this socket, according to the settings. NULL with errno. */
struct immure_blocking *service_connect(const char *socket, const struct settings *settings);
/* An idle exchange or a new one, which the caller owns until service_give(). NULL with errno. */
struct immure_blocking *service_take(struct service *service, const struct settings *settings);
void service_give(struct service *service, struct immure_blocking *exchange);

#endif
