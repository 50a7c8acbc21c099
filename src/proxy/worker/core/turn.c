/*
 * Why handshakes and established connections have budgets of their own: in a single queue every
 * request would wait behind a flood of ClientHellos, and with strict priority for established
 * connections a few bulk transfers would keep everybody else from connecting. With two budgets each
 * side is sure of its part of every turn, whatever the other has to do.
 *
 * Why the loop looks at established connections between the steps of handshakes: a turn full of
 * handshakes takes milliseconds, and a request that arrives at its beginning must not wait until
 * its end. Only long-lived connections are watched in this way, because the look is a system call.
 *
 * Why finishing goes before beginning, and beginning before accepting: work that has been begun is
 * lost if its client gives up. A client that is not accepted yet costs nothing and waits in the
 * kernel. But when handshakes are held back, accepting gets half of the time: the order in which
 * they begin is worth nothing if the clients that should be first are still in the kernel's queue.
 *
 * Why the deficit is measured in time and not in bytes: a small record costs libssl nearly as much
 * as a full one, and clients choose how small theirs are.
 */
#include "proxy/worker/core/turn.h"

#include "base/clock.h"
#include "base/probe.h"

/* The most looks in one turn; another look follows only one that returned LOOP_EVENTS events. */
#define LOOKS_PER_TURN 8
/* How long the steps of handshakes may run before the loop looks at established connections. */
#define LOOK_INTERVAL (50 * NS_PER_US)
/* The time that an established connection may use before it goes behind the others, and the part of
 * the passing time that it gets back: with up to a 32nd of the thread's time it stays in front. */
#define CREDIT_MOST ((int64_t)(100 * NS_PER_US))
#define CREDIT_LEAST (-(TURN_ROUNDS - 2) * CREDIT_MOST)
#define CREDIT_SHARE 32
/* After this many steps of STEP_NEXT in a row, one of STEP_BEHIND is served. */
#define NEXT_IN_A_ROW 8
/* The CPU time of a turn is measured only if its wall time reaches CPU_MEASURED. The reading of the
 * CPU clock that it is measured from is at most CPU_MARK_AGE older than the turn. */
#define CPU_MEASURED (500 * NS_PER_US)
#define CPU_MARK_AGE (250 * NS_PER_US)

void turn_init(struct turn *turn)
{
    for (int kind = 0; kind < STEP_KIND_COUNT; kind++)
        list_init(&turn->steps[kind]);
    for (int i = 0; i < TURN_ROUNDS; i++)
        list_init(&turn->behind[i]);
    turn->round = 0;
    turn->cpu_mark_at = 0;
    turn->accept_ahead = 0;
}

void step_init(struct step *step, void (*run)(struct step *step))
{
    list_init(&step->node);
    step->credit = CREDIT_MOST;
    step->credited_at = 0;
    step->run = run;
}

/* In textbook deficit round robin each round gives every step CREDIT_MOST until its deficit is made
 * up. Visiting all steps in each round would be work without a bound, so a step gets the credit of
 * all those rounds now, and waits in the round in which it will be served. A step that queues
 * itself again while it runs pays for this run when it does so the next time. */
static void queue_behind(struct turn *turn, struct step *step)
{
    unsigned rounds = step->credit > 0 ? 0 : (unsigned)(-step->credit / CREDIT_MOST) + 1;
    step->credit += rounds * CREDIT_MOST;
    list_append(&turn->behind[(turn->round + rounds) % TURN_ROUNDS], &step->node);
}

void step_queue(struct turn *turn, enum step_kind kind, struct step *step)
{
    if (list_linked(&step->node))
        return;
    if (kind == STEP_BEHIND)
        queue_behind(turn, step);
    else
        list_append(&turn->steps[kind], &step->node);
}

static void give_credit(struct step *step, uint64_t now)
{
    uint64_t gained = (now - step->credited_at) / CREDIT_SHARE;
    step->credited_at = now;
    if (gained >= (uint64_t)(CREDIT_MOST - step->credit))
        step->credit = CREDIT_MOST;
    else
        step->credit += (int64_t)gained;
}

void step_queue_established(struct turn *turn, struct step *step)
{
    if (list_linked(&step->node))
        return;
    give_credit(step, turn->loop->now);
    step_queue(turn, step->credit > 0 ? STEP_NEXT : STEP_BEHIND, step);
}

void step_drop(struct step *step)
{
    list_remove(&step->node);
}

bool step_waiting(const struct turn *turn, enum step_kind kind)
{
    bool waiting = !list_empty(&turn->steps[kind]);
    for (int i = 0; kind == STEP_BEHIND && !waiting && i < TURN_ROUNDS; i++)
        waiting = !list_empty(&turn->behind[i]);
    return waiting;
}

static struct step *take_from(struct list *steps)
{
    struct list *node = list_take(steps);
    return node != NULL ? list_entry(node, struct step, node) : NULL;
}

static bool has_held(const struct turn *turn)
{
    return turn->has_held != NULL && turn->has_held(turn->owner);
}

bool turn_begins_more(const struct turn *turn)
{
    return step_waiting(turn, STEP_BEGIN) || has_held(turn);
}

/* *ahead: +1 if its time is that of accepting, -1 if it was held back. */
static struct step *next_handshake_step(struct turn *turn, int *ahead)
{
    struct step *step = NULL;
    *ahead = 0;
    for (int kind = STEP_FINISH; step == NULL && kind <= STEP_BEGIN; kind++)
        step = take_from(&turn->steps[kind]);
    if (step != NULL)
        return step;
    bool accepts = turn->accept_ahead <= 0 && step_waiting(turn, STEP_ACCEPT);
    if (!accepts && has_held(turn) && (step = turn->take_held(turn->owner)) != NULL) {
        *ahead = -1;
        return step;
    }
    *ahead = 1;
    return take_from(&turn->steps[STEP_ACCEPT]);
}

/* Neither side can save up more than the budget of a turn. */
static void note_ahead(struct turn *turn, int64_t took)
{
    int64_t most = (int64_t)turn->handshake_budget, ahead = turn->accept_ahead + took;
    turn->accept_ahead = ahead > most ? most : ahead < -most ? -most : ahead;
}

static struct step *take_step_behind(struct turn *turn)
{
    struct step *step = NULL;
    for (int i = 0; i < TURN_ROUNDS && (step = take_from(&turn->behind[turn->round])) == NULL; i++)
        turn->round = (turn->round + 1) % TURN_ROUNDS;
    return step;
}

static struct step *next_established_step(struct turn *turn)
{
    bool behind_is_due = turn->served_next >= NEXT_IN_A_ROW && step_waiting(turn, STEP_BEHIND);
    struct step *step = behind_is_due ? NULL : take_from(&turn->steps[STEP_NEXT]);
    if (step != NULL) {
        turn->served_next++;
        return step;
    }
    turn->served_next = 0;
    return take_step_behind(turn);
}

static bool steps_waiting(const struct turn *turn)
{
    for (int kind = 0; kind < STEP_KIND_COUNT; kind++)
        if (step_waiting(turn, (enum step_kind)kind))
            return true;
    return has_held(turn);
}

static int collect(struct turn *turn, uint64_t until)
{
    int count = loop_look(turn->loop, until);
    turn->looked_at = turn->loop->now;
    return count;
}

static void serve_established(struct turn *turn)
{
    struct step *step;
    while (turn->established_left > 0 && (step = next_established_step(turn)) != NULL) {
        step->run(step);
        uint64_t now = clock_now();
        uint64_t took = now - turn->loop->now;
        int64_t credit = step->credit - (int64_t)took;
        step->credit = credit > CREDIT_LEAST ? credit : CREDIT_LEAST;
        turn->established_left -= took < turn->established_left ? took : turn->established_left;
        turn->loop->now = now;
    }
}

/* A look that returned as many events as it can is followed by another. */
static int collect_and_serve(struct turn *turn, int count)
{
    int total = count;
    serve_established(turn);
    for (int looks = 1; count == LOOP_EVENTS && looks < LOOKS_PER_TURN; looks++) {
        count = collect(turn, 0);
        total += count;
        serve_established(turn);
    }
    return total;
}

/* Returns the time that this took, which the handshakes' budget does not pay for. */
static uint64_t look_between_steps(struct turn *turn)
{
    uint64_t begun = turn->loop->now;
    loop_look_between(turn->loop);
    turn->looked_at = turn->loop->now;
    serve_established(turn);
    return turn->loop->now - begun;
}

static void run_steps(struct turn *turn)
{
    uint64_t end = turn->loop->now + turn->handshake_budget;
    int ahead;
    for (struct step *step; (step = next_handshake_step(turn, &ahead)) != NULL;) {
        uint64_t begun = turn->loop->now;
        step->run(step);
        turn->loop->now = clock_now();
        note_ahead(turn, ahead * (int64_t)(turn->loop->now - begun));
        if (turn->loop->now >= end)
            break;
        if (turn->loop->between_count > 0 && turn->established_left > 0 &&
            turn->loop->now - turn->looked_at >= LOOK_INTERVAL)
            end += look_between_steps(turn);
    }
}

static void begin_turn(struct turn *turn)
{
    turn->established_left = turn->established_budget;
    if (turn->loop->now - turn->cpu_mark_at < CPU_MARK_AGE)
        return;
    turn->cpu_mark = clock_thread();
    turn->cpu_mark_at = turn->loop->now;
}

static void record_turn(struct turn *turn, uint64_t took)
{
    uint64_t cpu = took < CPU_MEASURED ? took : clock_thread() - turn->cpu_mark;
    histogram_record(turn->turns, took);
    histogram_record(turn->turns_cpu, cpu < took ? cpu : took);
}

void turn_run(struct turn *turn)
{
    struct loop *loop = turn->loop;
    while (!loop->stopped) {
        int count = collect(turn, steps_waiting(turn) ? 0 : loop_deadline(loop));
        uint64_t begun = loop->now;
        begin_turn(turn);
        count = collect_and_serve(turn, count);
        run_steps(turn);
        turn->flush(turn->owner);
        loop_run_timers(loop);
        loop_run_work(loop);
        uint64_t took = clock_now() - begun;
        record_turn(turn, took);
        PROBE(immure_proxy, turn_end, took, count);
    }
}
