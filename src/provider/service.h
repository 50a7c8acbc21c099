/*
 * An immured that keys are in, by its socket: what is known of it, and the connections to it that
 * no thread uses at the moment. Without a lock, because a lock that another thread held at the time
 * of a fork() would stay locked in the child for ever. Any thread.
 */
#ifndef PROVIDER_SERVICE_H
#define PROVIDER_SERVICE_H

#include <stdatomic.h>
#include <sys/types.h>

#include "immure/blocking.h"
#include "provider/settings.h"

#define SERVICE_IDLE_MAX 64 /* what is given back beyond it is closed */

struct service {
    struct service *next;
    char *socket;
    atomic_bool away; /* the last that waited for a connection has waited in vain */
    _Atomic(struct immure_blocking *) idle[SERVICE_IDLE_MAX];
    _Atomic pid_t pid; /* whose connections they are */
};

/* All that were ever named; each stays until the provider goes. */
struct services {
    _Atomic(struct service *) first;
};

/* That of this socket. NULL: out of memory. */
struct service *services_find(struct services *services, const char *socket);
/* Closes all connections, with close() only, because a parent may do it while its children go on.
 */
void services_free(struct services *services);

/* An exchange with the immured of this socket, as the settings have it. NULL: out of memory, or
 * errno. */
struct immure_blocking *service_connect(const char *socket, const struct settings *settings);
/* The same, connected already or not, that is the caller's now. */
struct immure_blocking *service_take(struct service *service, const struct settings *settings);
void service_give(struct service *service, struct immure_blocking *exchange);

#endif
