#include "provider/ask.h"

#include <stdio.h>
#include <string.h>

#include "provider/direct.h"
#include "provider/reason.h"
#include "provider/waiter.h"

void ask_end(struct ask *ask, enum immure_error error, const char *text)
{
    ask->done = true;
    ask->error = error;
    if (error != IMMURE_OK)
        snprintf(ask->error_text, sizeof ask->error_text, "%s", text);
}

static void answered(void *arg, const struct immure_reply *reply)
{
    struct ask *ask = arg;
    ask_end(ask, reply->error, reply->error_text);
    ask->backend = reply->backend;
    ask->queue_ns = reply->queue_ns;
    ask->work_ns = reply->work_ns;
    ask->length = reply->output_length;
    if (reply->error == IMMURE_OK && reply->output_length <= ask->size)
        memcpy(ask->output, reply->output, reply->output_length);
    if (ask->answered != NULL)
        ask->answered(ask);
}

enum immure_error ask_send(struct ask *ask, struct immure_client *client, uint64_t deadline,
                           immure_request_id *id)
{
    memcpy(ask->request.key_id, ask->key->id, sizeof ask->request.key_id);
    ask->request.deadline = deadline;
    ask->request.callback = answered;
    ask->request.arg = ask;
    return immure_request_submit(client, &ask->request, id);
}

bool ask_immured(struct ask *ask)
{
    struct provider *provider = ask->key->provider;
    struct immure_waiter *waiter = waiter_of_thread();
    if (!(waiter != NULL ? waiter_ask(waiter, ask) : direct_ask(ask)))
        return false;
    if (ask->error != IMMURE_OK) {
        RAISE(provider, reason_of(ask->error), "%s%s%s", ask->where != NULL ? ask->where : "",
              ask->where != NULL ? ": " : "", ask->error_text);
        return false;
    }
    if (ask->length == 0 || ask->length > ask->size) {
        RAISE(provider, REASON_OUTPUT_SIZE, "%zu bytes where %zu were expected at most",
              ask->length, ask->size);
        return false;
    }
    return true;
}
