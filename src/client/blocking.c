#include "immure/blocking.h"

#include <string.h>

#include "base/clock.h"
#include "client/exchange.h"

/* One request and how it ended. */
struct call {
    bool done;
    enum immure_error error;
    struct immure_blocking *blocking;
    uint8_t *output; /* the caller's room */
    union {
        struct immure_signature *signature;
        struct immure_decrypted *decrypted;
    } reply;
    immure_list_callback *list;
    immure_stats_callback *stats;
    immure_ticket_keys_callback *ticket_keys;
    void *arg;
};

static uint64_t limit_of(uint64_t timeout)
{
    uint64_t now = clock_now();
    return timeout < UINT64_MAX - now ? now + timeout : UINT64_MAX - 1;
}

static uint64_t earlier(uint64_t deadline, uint64_t limit)
{
    return deadline == 0 || deadline > limit ? limit : deadline;
}

/* What immured said stays until the next call. */
static const char *keep_text(struct immure_blocking *blocking, const char *text)
{
    blocking->said[0] = '\0';
    return strncat(blocking->said, text, sizeof blocking->said - 1);
}

static enum immure_error wait_for(struct call *call, immure_request id, uint64_t deadline)
{
    enum immure_error error =
        exchange_run(call->blocking, &call->done, id, deadline, exchange_poll, NULL);
    return call->done ? call->error : error;
}

static void signed_back(void *arg, const struct immure_signature *reply)
{
    struct call *call = arg;
    call->done = true;
    call->error = reply->error;
    *call->reply.signature = *reply;
    call->reply.signature->error_text = keep_text(call->blocking, reply->error_text);
    call->reply.signature->signature = call->output;
    if (reply->signature_length > 0)
        memcpy(call->output, reply->signature, reply->signature_length);
}

enum immure_error immure_blocking_sign(struct immure_blocking *blocking,
                                       const struct immure_sign_request *request, uint64_t timeout,
                                       uint8_t *signature, struct immure_signature *reply)
{
    struct call call = {.blocking = blocking, .output = signature, .reply.signature = reply};
    struct immure_sign_request timed = *request;
    timed.deadline = earlier(timed.deadline, limit_of(timeout));
    immure_request id;
    enum immure_error error = immure_sign(blocking->client, &timed, signed_back, &call, &id);
    if (error == IMMURE_OK)
        error = wait_for(&call, id, timed.deadline);
    if (!call.done)
        *reply = (struct immure_signature){.error = error, .error_text = immure_error_text(error)};
    return error;
}

static void decrypted_back(void *arg, const struct immure_decrypted *reply)
{
    struct call *call = arg;
    call->done = true;
    call->error = reply->error;
    *call->reply.decrypted = *reply;
    call->reply.decrypted->error_text = keep_text(call->blocking, reply->error_text);
    call->reply.decrypted->premaster = call->output;
    if (reply->error == IMMURE_OK)
        memcpy(call->output, reply->premaster, IMMURE_PREMASTER_SIZE);
}

enum immure_error immure_blocking_decrypt(struct immure_blocking *blocking,
                                          const struct immure_decrypt_request *request,
                                          uint64_t timeout, uint8_t *premaster,
                                          struct immure_decrypted *reply)
{
    struct call call = {.blocking = blocking, .output = premaster, .reply.decrypted = reply};
    struct immure_decrypt_request timed = *request;
    timed.deadline = earlier(timed.deadline, limit_of(timeout));
    immure_request id;
    enum immure_error error = immure_decrypt(blocking->client, &timed, decrypted_back, &call, &id);
    if (error == IMMURE_OK)
        error = wait_for(&call, id, timed.deadline);
    if (!call.done)
        *reply = (struct immure_decrypted){.error = error, .error_text = immure_error_text(error)};
    return error;
}

static void listed_back(void *arg, const struct immure_key *key, enum immure_error error)
{
    struct call *call = arg;
    call->done = key == NULL;
    call->error = error;
    call->list(call->arg, key, error);
}

enum immure_error immure_blocking_list(struct immure_blocking *blocking, uint64_t timeout,
                                       immure_list_callback *callback, void *arg)
{
    struct call call = {.blocking = blocking, .list = callback, .arg = arg};
    uint64_t deadline = limit_of(timeout);
    immure_request id;
    enum immure_error error = immure_list(blocking->client, listed_back, &call, &id);
    if (error == IMMURE_OK)
        error = wait_for(&call, id, deadline);
    if (!call.done)
        callback(arg, NULL, error);
    return error;
}

static void stats_back(void *arg, const struct immure_stat *stats, size_t count,
                       enum immure_error error)
{
    struct call *call = arg;
    call->done = true;
    call->error = error;
    call->stats(call->arg, stats, count, error);
}

enum immure_error immure_blocking_stats(struct immure_blocking *blocking, uint64_t timeout,
                                        immure_stats_callback *callback, void *arg)
{
    struct call call = {.blocking = blocking, .stats = callback, .arg = arg};
    uint64_t deadline = limit_of(timeout);
    immure_request id;
    enum immure_error error = immure_stats(blocking->client, stats_back, &call, &id);
    if (error == IMMURE_OK)
        error = wait_for(&call, id, deadline);
    if (!call.done)
        callback(arg, NULL, 0, error);
    return error;
}

static void ticket_keys_back(void *arg, const struct immure_ticket_keys *keys)
{
    struct call *call = arg;
    call->done = true;
    call->error = keys->error;
    call->ticket_keys(call->arg, keys);
}

enum immure_error immure_blocking_ticket_keys(struct immure_blocking *blocking, uint64_t timeout,
                                              immure_ticket_keys_callback *callback, void *arg)
{
    struct call call = {.blocking = blocking, .ticket_keys = callback, .arg = arg};
    uint64_t deadline = limit_of(timeout);
    immure_request id;
    enum immure_error error = immure_ticket_keys(blocking->client, ticket_keys_back, &call, &id);
    if (error == IMMURE_OK)
        error = wait_for(&call, id, deadline);
    if (!call.done)
        callback(arg, &(struct immure_ticket_keys){.error = error,
                                                   .error_text = immure_error_text(error)});
    return error;
}

static void pinged_back(void *arg, enum immure_error error)
{
    struct call *call = arg;
    call->done = true;
    call->error = error;
}

enum immure_error immure_blocking_ping(struct immure_blocking *blocking, uint64_t timeout)
{
    struct call call = {.blocking = blocking};
    uint64_t deadline = limit_of(timeout);
    immure_request id;
    enum immure_error error = immure_ping(blocking->client, pinged_back, &call, &id);
    return error == IMMURE_OK ? wait_for(&call, id, deadline) : error;
}
