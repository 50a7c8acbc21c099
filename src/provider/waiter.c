#include "provider/waiter.h"

#include <openssl/async.h>
#include <string.h>

#include "base/clock.h"
#include "immure/openssl.h"
#include "provider/reason.h"

/* How long a blocking exchange waits at most where the waiter has no deadline. */
#define BLOCKING_LIMIT (30 * NS_PER_S)

/* One signature that a paused job waits for. It lives on the job's own stack. */
struct immure_operation {
    struct immure_waiter *waiter;
    immure_request id;
    bool done, cancelled;
    uint8_t *signature;
    size_t size, length; /* room, and how much of it the signature takes */
    char error_text[128];
};

static _Thread_local struct immure_waiter *current;

void immure_waiter_enter(struct immure_waiter *waiter)
{
    current = waiter;
}

void immure_waiter_leave(void)
{
    current = NULL;
}

void immure_waiter_cancel(struct immure_waiter *waiter)
{
    struct immure_operation *operation = waiter->operation;
    if (operation == NULL)
        return;
    immure_request_cancel(waiter->client, operation->id);
    operation->cancelled = true;
    waiter->error = IMMURE_E_CANCELLED;
}

static void note_reply(struct immure_waiter *waiter, const struct immure_signature *reply)
{
    waiter->answered_at = clock_now();
    waiter->error = reply->error;
    waiter->backend = reply->backend;
    waiter->queue_ns = reply->queue_ns;
    waiter->sign_ns = reply->sign_ns;
}

static void take_reply(void *arg, const struct immure_signature *reply)
{
    struct immure_operation *operation = arg;
    note_reply(operation->waiter, reply);
    operation->done = true;
    operation->length = reply->signature_length;
    if (reply->error != IMMURE_OK)
        strncat(operation->error_text, reply->error_text, sizeof operation->error_text - 1);
    else if (reply->signature_length <= operation->size)
        memcpy(operation->signature, reply->signature, reply->signature_length);
    operation->waiter->wake(operation->waiter);
}

/* Resumes may be spurious: another event of the connection, or an application that just tries. */
static bool pause_until_done(const struct provider *provider, struct immure_operation *operation)
{
    while (!operation->done && !operation->cancelled) {
        if (!ASYNC_pause_job()) {
            immure_request_cancel(operation->waiter->client, operation->id);
            RAISE(provider, REASON_PAUSE, NULL);
            return false;
        }
    }
    if (operation->cancelled)
        RAISE(provider, REASON_CANCELLED, NULL);
    return !operation->cancelled;
}

static bool sign_async(const struct provider *provider, struct immure_waiter *waiter,
                       const struct immure_sign_request *request, uint8_t *signature,
                       size_t *length)
{
    struct immure_operation operation = {.waiter = waiter, .signature = signature, .size = *length};
    enum immure_error error =
        immure_sign(waiter->client, request, take_reply, &operation, &operation.id);
    if (error != IMMURE_OK) {
        waiter->error = error;
        RAISE(provider, REASON_REQUEST, "%s", immure_error_text(error));
        return false;
    }
    waiter->operation = &operation;
    bool answered = pause_until_done(provider, &operation);
    waiter->operation = NULL;
    if (answered && waiter->error != IMMURE_OK) {
        RAISE(provider, REASON_IMMURED, "%s", operation.error_text);
        return false;
    }
    *length = operation.length;
    return answered;
}

static bool sign_blocking(const struct provider *provider, struct immure_waiter *waiter,
                          const struct immure_sign_request *request, uint8_t *signature,
                          size_t *length)
{
    uint8_t room[IMMURE_SIGNATURE_MAX];
    struct immure_signature reply;
    immure_blocking_sign(waiter->blocking, request, BLOCKING_LIMIT, room, &reply);
    note_reply(waiter, &reply);
    if (reply.error != IMMURE_OK) {
        RAISE(provider, REASON_IMMURED, "%s", reply.error_text);
        return false;
    }
    if (reply.signature_length <= *length)
        memcpy(signature, room, reply.signature_length);
    *length = reply.signature_length;
    return true;
}

bool waiter_sign(const struct provider *provider, const struct immure_sign_request *request,
                 uint8_t *signature, size_t *length)
{
    struct immure_waiter *waiter = current;
    if (waiter == NULL) {
        RAISE(provider, REASON_NO_WAITER, NULL);
        return false;
    }
    if (waiter->blocking == NULL && (waiter->client == NULL || ASYNC_get_current_job() == NULL)) {
        RAISE(provider, REASON_NO_BLOCKING, NULL);
        return false;
    }
    struct immure_sign_request timed = *request;
    timed.deadline = waiter->deadline;
    waiter->scheme = request->scheme;
    waiter->backend = NULL;
    waiter->asked_at = waiter->answered_at = clock_now();

    size_t size = *length;
    bool ok = waiter->blocking != NULL ? sign_blocking(provider, waiter, &timed, signature, length)
                                       : sign_async(provider, waiter, &timed, signature, length);
    if (ok && (*length == 0 || *length > size)) {
        RAISE(provider, REASON_SIGNATURE_SIZE, "%zu bytes where %zu were expected at most", *length,
              size);
        return false;
    }
    return ok;
}
