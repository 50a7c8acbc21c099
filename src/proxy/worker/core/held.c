#include "proxy/worker/core/held.h"

static struct held *of_visit(struct visit *visit)
{
    return list_entry(visit, struct held, visit);
}

static void patience_ended(struct timer *timer)
{
    struct held *held = list_entry(timer, struct held, patience);
    admission_note_shed(held->admission, false);
    held->shed(held);
}

void held_init(struct held *held, struct admission *admission, struct step *step,
               void (*shed)(struct held *held))
{
    held->admission = admission;
    held->step = step;
    held->shed = shed;
    timer_init(&held->patience, patience_ended);
}

void held_release(struct held *held)
{
    timer_stop(held->admission->loop, &held->patience);
    admission_leave(held->admission, &held->visit);
}

static bool wait_if(struct held *held, bool holds)
{
    if (holds)
        timer_start_at(held->admission->loop, &held->patience,
                       admission_patience(held->admission, &held->visit));
    return holds;
}

bool held_begin(struct held *held)
{
    return wait_if(held, admission_hold(held->admission, &held->visit));
}

bool held_sign(struct held *held, struct signing_key key)
{
    return wait_if(held, admission_hold_signature(held->admission, &held->visit, key));
}

struct step *held_take(struct admission *admission)
{
    struct visit *visit = admission_next(admission);
    if (visit == NULL)
        return NULL;
    timer_stop(admission->loop, &of_visit(visit)->patience);
    return of_visit(visit)->step;
}

bool held_shed_one(struct admission *admission)
{
    struct visit *visit = admission_worst(admission);
    if (visit == NULL)
        return false;
    admission_note_shed(admission, true);
    of_visit(visit)->shed(of_visit(visit));
    return true;
}
