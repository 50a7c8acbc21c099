#include "provider/direct.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "client/exchange.h"
#include "provider/pause.h"
#include "provider/reason.h"

/* The longest that a working immured takes to answer a ping. */
#define LOOK_LIMIT (20 * NS_PER_MS)

/*
 * While immured is down or hangs, each handshake would wait for the whole timeout, and a server
 * that blocks would do nothing else. So after one request has timed out, the next ones first check,
 * within LOOK_LIMIT, whether immured is back. A successful connect() does not prove that: systemd
 * listens while immured starts.
 */
static enum immure_error look_for(struct service *service, struct immure_blocking *exchange)
{
    const struct immure_request ping = {.operation = IMMURE_PING};
    struct exchange_wait wait;
    if (!atomic_load_explicit(&service->away, memory_order_relaxed))
        return IMMURE_OK;
    enum immure_error error = exchange_step(exchange, clock_now(), false, &wait);
    if (error == IMMURE_OK && wait.descriptor < 0)
        return exchange->refused != 0 ? IMMURE_E_IO : IMMURE_E_TIMEOUT;
    return error == IMMURE_OK ? immure_blocking_request(exchange, &ping, LOOK_LIMIT) : error;
}

static enum immure_error exchange_ask(struct service *service, struct immure_blocking *exchange,
                                      struct question *question)
{
    const struct settings *settings = &question->key->provider->settings;
    uint64_t deadline = clock_now() + settings->timeout;
    immure_request_id id;
    enum immure_error error = look_for(service, exchange);
    if (error == IMMURE_OK)
        error = question_send(question, exchange->client, deadline, &id);
    if (error != IMMURE_OK)
        return error;
    struct pause *pause = settings->asynchronous ? pause_of_job() : NULL;
    error = pause != NULL
                ? pause_run(pause, exchange, &question->done, id, deadline)
                : exchange_run(exchange, &question->done, id, deadline, exchange_poll, NULL);
    atomic_store_explicit(&service->away, error == IMMURE_E_IO || error == IMMURE_E_TIMEOUT,
                          memory_order_relaxed);
    return error;
}

bool direct_ask(struct question *question)
{
    struct provider *provider = question->key->provider;
    struct service *service = question->key->service;
    if (service == NULL) {
        RAISE(provider, REASON_NO_WAITER, NULL);
        return false;
    }
    struct immure_blocking *exchange = service_take(service, &provider->settings);
    if (exchange == NULL) {
        RAISE(provider, REASON_CONNECTION, "%s: %s", service->socket, strerror(errno));
        return false;
    }
    enum immure_error error = exchange_ask(service, exchange, question);
    if (error != IMMURE_OK)
        question_end(question, error, exchange_error_text(exchange, error));
    question->where = service->socket;
    service_give(service, exchange);
    return true;
}
