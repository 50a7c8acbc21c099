/*
 * Why there are three delays and not one: a queue that stands may hide behind one that does not. A
 * loop that has more to do than it can leaves clients in the backlog, where the kernel has them in
 * the order of their arrival, and those that it accepts begin at once. An immured that cannot keep
 * up leaves the loop with little to do.
 *
 * Why the source decides and not the connection: a client can open as many as it likes.
 *
 * Why all handshakes are put in order during overload, even if none waits: what is next can only be
 * chosen among those that are known.
 */
#include "proxy/worker/admission/admission.h"

/* What the first step of a handshake is expected to cost: libssl's part without a key exchange. */
#define HELLO_COST (50 * NS_PER_US)

static void relieve(struct timer *timer);

static uint64_t now_of(const struct admission *admission)
{
    return admission->loop->now;
}

bool admission_open(struct admission *admission)
{
    const struct proxy_config *config = admission->config;
    uint64_t target = config->handshake_wait, interval = config->handshake_wait_interval;
    admission->order =
        (struct order){.shares = &admission->shares, .patience = config->handshake_patience};
    admission->signing = (struct signing){.target = target, .interval = interval};
    for (int i = 0; i < DELAY_COUNT; i++)
        admission->delays[i] = (struct standing){.target = target, .interval = interval};
    admission->journal = (struct journal){.thread = admission->thread};
    timer_init(&admission->relief, relieve);
    return shares_open(&admission->shares, now_of(admission));
}

void admission_close(struct admission *admission)
{
    order_release(&admission->order);
    shares_close(&admission->shares);
}

/* ---- overload ---- */

static void set_overload(struct admission *admission, bool overload)
{
    admission->overload = overload;
    metric_add(&admission->metrics->overloaded, overload ? 1 : (uint64_t)-1);
    for (int i = 0; i < DELAY_COUNT; i++)
        admission->delays[i].above = false;
    if (overload)
        timer_start(admission->loop, &admission->relief,
                    admission->config->handshake_wait_interval);
}

/* It is over when for an interval nothing has come that was late, and nothing is held back. */
static void relieve(struct timer *timer)
{
    struct admission *admission = list_entry(timer, struct admission, relief);
    uint64_t now = now_of(admission), interval = admission->config->handshake_wait_interval;
    if (admission->order.held == 0 && now - admission->late_at >= interval &&
        journal_end(&admission->journal, now))
        set_overload(admission, false);
    else
        timer_start(admission->loop, timer, interval);
}

static bool is_late(const struct admission *admission, uint64_t waited)
{
    return waited > admission->config->handshake_wait;
}

static void note_delay(struct admission *admission, struct standing *delay, uint64_t waited)
{
    uint64_t now = now_of(admission);
    if (admission->config->handshake_wait == 0)
        return;
    bool stands = standing_note(delay, waited, now);
    if (is_late(admission, waited))
        admission->late_at = now;
    if (stands && !admission->overload) {
        set_overload(admission, true);
        journal_overload(&admission->journal, admission->delays, &admission->shares, now);
    }
}

static void note_deed(struct admission *admission, enum deed deed, metric *counter)
{
    metric_add(counter, 1);
    admission->journal.done[deed]++;
}

/* ---- from accept to the end ---- */

struct standing admission_backlog(const struct admission *admission)
{
    return (struct standing){.target = admission->config->handshake_wait,
                             .interval = admission->config->handshake_wait_interval};
}

void admission_accepted(struct admission *admission, struct standing *backlog, uint64_t waited)
{
    admission->delays[DELAY_ACCEPT].waited = waited;
    note_delay(admission, backlog, waited);
}

static bool is_exempt(const struct proxy_config *config, const struct sockaddr_storage *address)
{
    for (size_t i = 0; i < config->never_held_back_count; i++)
        if (network_has(&config->never_held_back[i], address))
            return true;
    return false;
}

bool admission_too_late(const struct admission *admission, uint64_t waited,
                        const struct sockaddr_storage *address)
{
    return admission->overload && waited > admission->config->handshake_patience &&
           !is_exempt(admission->config, address);
}

bool admission_enter(struct admission *admission, struct visit *visit,
                     const struct sockaddr_storage *address)
{
    struct thread_metrics *metrics = admission->metrics;
    *visit = (struct visit){.source = source_from(address),
                            .exempt = is_exempt(admission->config, address)};
    if (admission->limits == NULL || visit->exempt || !source_has_address(&visit->source))
        return true;
    switch (source_limits_take(admission->limits, &visit->source, now_of(admission))) {
    case LIMITED_NOT:
        visit->counted = true;
        return true;
    case LIMITED_CONNECTIONS:
        note_deed(admission, DEED_CONNECTIONS, &metrics->limited_connections_total);
        break;
    case LIMITED_RATE:
        note_deed(admission, DEED_RATE, &metrics->limited_rate_total);
        break;
    }
    journal_limit(&admission->journal, visit->source.narrow, now_of(admission));
    return false;
}

static void release(struct admission *admission, struct visit *visit)
{
    uint64_t now = now_of(admission);
    metric_add(&admission->metrics->held, (uint64_t)-1);
    if (is_late(admission, now - visit->held_at))
        admission->late_at = now;
}

void admission_leave(struct admission *admission, struct visit *visit)
{
    uint64_t now = now_of(admission);
    if (admission_holds(visit)) {
        order_remove(&admission->order, visit, now);
        release(admission, visit);
    }
    admission_unanswered(admission, visit);
    if (visit->counted)
        source_limits_give(admission->limits, &visit->source);
    *visit = (struct visit){.exempt = true};
}

/* ---- held back ---- */

bool admission_holds(const struct visit *visit)
{
    return visit->line != NULL;
}

static bool hold(struct admission *admission, struct visit *visit, enum held_at at)
{
    uint64_t now = now_of(admission);
    if (!admission->overload || visit->exempt || !order_put(&admission->order, visit, at, now))
        return false;
    visit->held_at = now;
    metric_add(&admission->metrics->held, 1);
    if (!visit->noted)
        note_deed(admission, DEED_HELD, &admission->metrics->held_back_total);
    visit->noted = true;
    journal_overload(&admission->journal, admission->delays, &admission->shares, now);
    return true;
}

bool admission_hold(struct admission *admission, struct visit *visit)
{
    if (visit->since == 0)
        visit->since = now_of(admission);
    visit->expected = HELLO_COST;
    return hold(admission, visit, HELD_HELLO);
}

bool admission_hold_signature(struct admission *admission, struct visit *visit,
                              struct signing_key key)
{
    if (visit->signs)
        return false;
    visit->signs = true;
    visit->expected = signing_cost(&admission->signing, key);
    return hold(admission, visit, HELD_SIGNATURE);
}

uint64_t admission_patience(const struct admission *admission, const struct visit *visit)
{
    return visit->since + admission->config->handshake_patience;
}

void admission_begin(struct admission *admission, const struct visit *visit)
{
    if (!admission->overload && visit->since > 0)
        note_delay(admission, &admission->delays[DELAY_BEGIN], now_of(admission) - visit->since);
}

bool admission_ready(const struct admission *admission)
{
    return order_has_next(&admission->order, signing_open(&admission->signing));
}

struct visit *admission_next(struct admission *admission)
{
    struct visit *visit =
        order_take(&admission->order, signing_open(&admission->signing), now_of(admission));
    if (visit == NULL)
        return NULL;
    admission->delays[DELAY_BEGIN].waited = now_of(admission) - visit->held_at;
    release(admission, visit);
    return visit;
}

struct visit *admission_worst(const struct admission *admission)
{
    return order_worst(&admission->order);
}

void admission_note_shed(struct admission *admission, bool for_room)
{
    struct thread_metrics *metrics = admission->metrics;
    if (for_room)
        note_deed(admission, DEED_SHED_ROOM, &metrics->shed_room_total);
    else
        note_deed(admission, DEED_SHED_WAITED, &metrics->shed_waited_total);
    journal_overload(&admission->journal, admission->delays, &admission->shares, now_of(admission));
}

/* ---- costs ---- */

void admission_charge(struct admission *admission, const struct visit *visit, uint64_t work)
{
    if (!visit->exempt && admission->config->handshake_wait > 0)
        shares_charge(&admission->shares, &visit->source, work, now_of(admission));
}

void admission_ask(struct admission *admission, struct visit *visit, struct signing_key key)
{
    visit->asked = signing_cost(&admission->signing, key);
    signing_asked(&admission->signing, visit->asked);
    admission_charge(admission, visit, visit->asked);
}

void admission_unanswered(struct admission *admission, struct visit *visit)
{
    if (visit->asked > 0)
        signing_over(&admission->signing, visit->asked, now_of(admission));
    visit->asked = 0;
}

void admission_answered(struct admission *admission, struct visit *visit, struct signing_key key,
                        uint64_t queue, uint64_t work)
{
    if (visit->asked == 0)
        return; /* it was signed within the step, which is charged as a whole */
    admission_unanswered(admission, visit);
    signing_measured(&admission->signing, key, work);
    note_delay(admission, &admission->delays[DELAY_SIGN], queue);
}
