#include "provider/pool.h"

#include <stddef.h>
#include <unistd.h>

#include "client/exchange.h"

void pool_close(struct pool *pool)
{
    for (size_t i = 0; i < POOL_SIZE; i++)
        immure_blocking_free(atomic_exchange(&pool->idle[i], NULL));
}

struct immure_blocking *pool_take(struct pool *pool, const char *socket)
{
    pid_t self = getpid();
    if (atomic_exchange(&pool->pid, self) != self)
        pool_close(pool);
    for (size_t i = 0; i < POOL_SIZE; i++) {
        struct immure_blocking *exchange = atomic_exchange(&pool->idle[i], NULL);
        if (exchange != NULL && exchange_leads_to(exchange, socket))
            return exchange;
        if (exchange != NULL)
            pool_give(pool, exchange);
    }
    return immure_blocking_unix(socket);
}

void pool_give(struct pool *pool, struct immure_blocking *exchange)
{
    for (size_t i = 0; i < POOL_SIZE; i++) {
        struct immure_blocking *none = NULL;
        if (atomic_compare_exchange_strong(&pool->idle[i], &none, exchange))
            return;
    }
    immure_blocking_free(exchange);
}
