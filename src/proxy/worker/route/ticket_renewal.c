#include "proxy/worker/route/ticket_renewal.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"

/* The pause after immured could give no keys. The key of the last epoch stays in use. */
#define ASK_AGAIN (10 * NS_PER_S)
#define BLOCKING_LIMIT NS_PER_S

static void convert_key(const struct immure_ticket_key *given, struct ticket_key *key)
{
    _Static_assert(sizeof key->name == sizeof given->name &&
                       sizeof key->aes == sizeof given->cipher &&
                       sizeof key->hmac == sizeof given->mac,
                   "one layout");
    memcpy(key->name, given->name, sizeof key->name);
    memcpy(key->aes, given->cipher, sizeof key->aes);
    memcpy(key->hmac, given->mac, sizeof key->hmac);
}

void ticket_renewal_convert(const struct immure_ticket_keys *given, struct ticket_keys *keys)
{
    convert_key(given->current, &keys->current);
    convert_key(given->previous, &keys->previous);
}

static void answered(void *arg, const struct immure_reply *reply)
{
    struct ticket_renewal *renewal = arg;
    if (reply->error == IMMURE_OK) {
        ticket_renewal_convert(reply->ticket_keys, &renewal->tickets->keys);
        timer_start_at(renewal->loop, &renewal->timer,
                       clock_now() + reply->ticket_keys->time_left_ns);
    } else {
        timer_start_at(renewal->loop, &renewal->timer, clock_now() + ASK_AGAIN);
        if (reply->error != IMMURE_E_CLOSED) /* which is no failure: the thread ends */
            log_warning("session ticket keys are not renewed: %s", reply->error_text);
    }
}

/* The epoch has ended, so the key of the one before it opens nothing any more, even if immured is
 * slow to answer. Its place must not stay empty: anybody could seal tickets with a key of zeros. */
static void drop_previous(struct ticket_keys *keys)
{
    keys->previous = keys->current;
}

static void ask(struct timer *timer)
{
    struct ticket_renewal *renewal = list_entry(timer, struct ticket_renewal, timer);
    drop_previous(&renewal->tickets->keys);
    const struct immure_request request = {
        .operation = IMMURE_TICKET_KEYS, .callback = answered, .arg = renewal};
    if (renewal->blocking != NULL) {
        immure_blocking_request(renewal->blocking, &request, BLOCKING_LIMIT);
    } else if (immure_request_submit(renewal->client, &request, NULL) == IMMURE_OK) {
        /* The answer restarts the timer. It comes even if the connection is lost in between. */
        renewal->send(renewal);
    } else {
        timer_start(renewal->loop, timer, ASK_AGAIN);
    }
}

void ticket_renewal_begin(struct ticket_renewal *renewal, const struct ticket_keys *keys,
                          uint64_t at)
{
    timer_init(&renewal->timer, ask);
    timer_start_at(renewal->loop, &renewal->timer, at);
    renewal->tickets->keys = *keys;
}

bool ticket_renewal_active(const struct ticket_renewal *renewal)
{
    return renewal->tickets != NULL;
}
