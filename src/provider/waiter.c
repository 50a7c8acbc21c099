#include "provider/waiter.h"

#include <openssl/async.h>
#include <string.h>

#include "base/clock.h"
#include "client/exchange.h"
#include "provider/reason.h"

/* The longest that a blocking exchange waits if the waiter has no deadline. */
#define BLOCKING_LIMIT (30 * NS_PER_S)

/* A request that a paused job waits for. It lives on the job's own stack. */
struct immure_openssl_operation {
    struct immure_waiter *waiter;
    struct question *question;
    immure_request_id id;
    bool cancelled;
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

struct immure_waiter *waiter_of_thread(void)
{
    return current;
}

void immure_waiter_cancel(struct immure_waiter *waiter)
{
    struct immure_openssl_operation *operation = waiter->operation;
    if (operation == NULL)
        return;
    if (!operation->question->done) /* after the reply, the client may be gone */
        immure_request_cancel(waiter->client, operation->id);
    operation->cancelled = true;
    waiter->error = IMMURE_E_CANCELLED;
}

static void note_answer(struct immure_waiter *waiter, const struct question *question)
{
    waiter->answered_at = clock_now();
    waiter->error = question->error;
    waiter->backend = question->backend;
    waiter->queue_ns = question->queue_ns;
    waiter->work_ns = question->work_ns;
}

static void wake(struct question *question)
{
    struct immure_openssl_operation *operation = question->arg;
    note_answer(operation->waiter, question);
    operation->waiter->wake(operation->waiter);
}

static const char mark; /* its address identifies our entry in the wait context */

/*
 * Pauses the job and finds out whether it really was paused: within ASYNC_block_pause() OpenSSL
 * reports success without pausing. A real pause resets the wait context's count of added
 * descriptors to zero. So this adds an invalid descriptor first and removes it afterwards.
 */
static bool pause_marked(void)
{
    ASYNC_WAIT_CTX *context = ASYNC_get_wait_ctx(ASYNC_get_current_job());
    size_t added = 0, removed = 0;
    if (!ASYNC_WAIT_CTX_set_wait_fd(context, &mark, OSSL_BAD_ASYNC_FD, NULL, NULL))
        return false;
    bool paused = ASYNC_pause_job() == 1 &&
                  ASYNC_WAIT_CTX_get_changed_fds(context, NULL, &added, NULL, &removed) == 1 &&
                  added == 0;
    ASYNC_WAIT_CTX_clear_fd(context, &mark);
    return paused;
}

/* The job may be resumed before the reply is there, by another event of the connection or by an
 * application that just retries. A request whose job cannot be paused is cancelled, because nothing
 * would ever read its reply. */
static bool pause_until_done(struct immure_openssl_operation *operation)
{
    const struct provider *provider = operation->question->key->provider;
    bool resumed = false;
    while (!operation->question->done && !operation->cancelled) {
        bool paused = resumed ? pause_marked() : ASYNC_pause_job() == 1;
        resumed = true;
        if (!paused && !operation->question->done && !operation->cancelled) {
            immure_request_cancel(operation->waiter->client, operation->id);
            RAISE(provider, REASON_PAUSE, NULL);
            return false;
        }
    }
    if (operation->cancelled)
        RAISE(provider, REASON_CANCELLED, NULL);
    return !operation->cancelled;
}

static bool ask_paused(struct immure_waiter *waiter, struct question *question)
{
    struct immure_openssl_operation operation = {.waiter = waiter, .question = question};
    question->answered = wake;
    question->arg = &operation;
    enum immure_error error =
        question_send(question, waiter->client, waiter->deadline, &operation.id);
    if (error != IMMURE_OK) {
        waiter->error = error;
        question_end(question, error, immure_error_text(error));
        return true;
    }
    waiter->operation = &operation;
    bool answered = pause_until_done(&operation);
    waiter->operation = NULL;
    return answered;
}

static bool ask_blocking(struct immure_waiter *waiter, struct question *question)
{
    struct immure_blocking *exchange = waiter->blocking;
    uint64_t deadline = clock_now() + BLOCKING_LIMIT;
    if (waiter->deadline != 0 && waiter->deadline < deadline)
        deadline = waiter->deadline;
    immure_request_id id;
    enum immure_error error = question_send(question, exchange->client, deadline, &id);
    if (error == IMMURE_OK)
        error = exchange_run(exchange, &question->done, id, deadline, exchange_poll, NULL);
    if (error != IMMURE_OK)
        question_end(question, error, exchange_error_text(exchange, error));
    note_answer(waiter, question);
    return true;
}

bool waiter_ask(struct immure_waiter *waiter, struct question *question)
{
    if (waiter->blocking == NULL && (waiter->client == NULL || ASYNC_get_current_job() == NULL)) {
        RAISE(question->key->provider, REASON_NO_BLOCKING, NULL);
        return false;
    }
    waiter->scheme = question->request.scheme;
    waiter->backend = NULL;
    waiter->asked_at = waiter->answered_at = clock_now();
    return waiter->blocking != NULL ? ask_blocking(waiter, question) : ask_paused(waiter, question);
}
