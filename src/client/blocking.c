#include "immure/blocking.h"

#include <errno.h>

#include "base/clock.h"
#include "client/exchange.h"

/* The request that immure_blocking_request() waits for. */
struct blocking_call {
    const struct immure_request *request; /* the caller's */
    bool done;
    enum immure_error error;
};

static uint64_t limit_of(uint64_t timeout)
{
    uint64_t now = clock_now();
    return timeout < UINT64_MAX - now ? now + timeout : UINT64_MAX - 1;
}

static void answered(void *arg, const struct immure_reply *reply)
{
    struct blocking_call *call = arg;
    call->done = reply->key == NULL; /* otherwise other keys or the end of the list follow */
    call->error = reply->error;
    if (call->request->callback != NULL)
        call->request->callback(call->request->arg, reply);
}

enum immure_error immure_blocking_request(struct immure_blocking *blocking,
                                          const struct immure_request *request, uint64_t timeout)
{
    struct blocking_call call = {.request = request};
    struct immure_request timed = *request;
    uint64_t limit = limit_of(timeout);
    if (timed.deadline == 0 || timed.deadline > limit)
        timed.deadline = limit;
    timed.callback = answered;
    timed.arg = &call;
    immure_request_id id;
    enum immure_error error = immure_request_submit(blocking->client, &timed, &id);
    if (error == IMMURE_OK)
        error = exchange_run(blocking, &call.done, id, timed.deadline, exchange_poll, NULL);
    if (call.done)
        return call.error;
    int reason = errno;
    answered(&call, &(struct immure_reply){.error = error, .error_text = immure_error_text(error)});
    errno = reason;
    return error;
}
