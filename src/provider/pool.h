/*
 * Connections to immured that no thread uses at the moment. Without a lock, because a lock that
 * another thread held at the time of a fork() would stay locked in the child for ever. Any thread.
 */
#ifndef PROVIDER_POOL_H
#define PROVIDER_POOL_H

#include <stdatomic.h>
#include <sys/types.h>

#include "immure/blocking.h"

#define POOL_SIZE 64 /* what is given back beyond it is closed */

struct pool {
    _Atomic(struct immure_blocking *) idle[POOL_SIZE];
    _Atomic pid_t pid; /* whose connections they are */
};

/* One to this socket, connected or not, that is the caller's now. NULL: out of memory, or errno. */
struct immure_blocking *pool_take(struct pool *pool, const char *socket);
void pool_give(struct pool *pool, struct immure_blocking *exchange);
/* Closes all; with close() only, because a parent may do it while its children go on. */
void pool_close(struct pool *pool);

#endif
