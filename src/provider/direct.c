#include "provider/direct.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "client/exchange.h"
#include "provider/pause.h"
#include "provider/reason.h"

/*
 * While immured is away, one handshake after another would wait for the whole time limit, and a
 * server that blocks would do nothing else. So after one has, they only look whether it is back.
 */
static bool still_away(struct provider *provider, struct immure_blocking *exchange)
{
    struct exchange_wait wait;
    if (!atomic_load_explicit(&provider->away, memory_order_relaxed))
        return false;
    return exchange_step(exchange, clock_now(), false, &wait) == IMMURE_OK && wait.descriptor < 0;
}

static enum immure_error exchange_ask(struct provider *provider, struct immure_blocking *exchange,
                                      struct ask *ask)
{
    exchange_begin(exchange);
    if (still_away(provider, exchange))
        return IMMURE_E_IO;
    uint64_t deadline = clock_now() + provider->settings.timeout;
    immure_request id;
    enum immure_error error = ask_send(ask, exchange->client, deadline, &id);
    if (error != IMMURE_OK)
        return error;
    struct pause *pause = provider->settings.asynchronous ? pause_of_job() : NULL;
    error = pause != NULL ? pause_run(pause, exchange, &ask->done, id, deadline)
                          : exchange_run(exchange, &ask->done, id, deadline, exchange_poll, NULL);
    atomic_store_explicit(&provider->away, error == IMMURE_E_IO, memory_order_relaxed);
    return error;
}

bool direct_ask(struct ask *ask)
{
    struct provider *provider = ask->key->provider;
    const char *socket =
        provider->settings.socket != NULL ? provider->settings.socket : ask->key->socket;
    if (socket == NULL) {
        RAISE(provider, REASON_NO_WAITER, NULL);
        return false;
    }
    struct immure_blocking *exchange = pool_take(&provider->pool, socket);
    if (exchange == NULL) {
        RAISE(provider, REASON_CONNECTION, "%s: %s", socket, strerror(errno));
        return false;
    }
    enum immure_error error = exchange_ask(provider, exchange, ask);
    if (error != IMMURE_OK)
        ask_fail(ask, error, exchange_error_text(exchange, error));
    ask->where = socket;
    pool_give(&provider->pool, exchange);
    return true;
}
