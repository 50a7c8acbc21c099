#include "provider/ask.h"

#include "provider/direct.h"
#include "provider/reason.h"
#include "provider/waiter.h"

bool ask_immured(struct question *question)
{
    struct provider *provider = question->key->provider;
    struct immure_waiter *waiter = waiter_of_thread();
    if (!(waiter != NULL ? waiter_ask(waiter, question) : direct_ask(question)))
        return false;
    if (question->error != IMMURE_OK) {
        RAISE(provider, reason_of(question->error), "%s%s%s",
              question->where != NULL ? question->where : "", question->where != NULL ? ": " : "",
              question->error_text);
        return false;
    }
    if (question->length == 0 || question->length > question->size) {
        RAISE(provider, REASON_OUTPUT_SIZE, "%zu bytes where %zu were expected at most",
              question->length, question->size);
        return false;
    }
    return true;
}
