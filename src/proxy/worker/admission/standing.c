#include "proxy/worker/admission/standing.h"

/* What leaves the queue after an interval in which nothing did says nothing about that interval. */
bool standing_note(struct standing *standing, uint64_t waited, uint64_t now)
{
    bool went_on = standing->above && now - standing->last < standing->interval;
    standing->waited = waited;
    standing->above = waited > standing->target;
    standing->last = now;
    if (!standing->above)
        return false;
    if (!went_on)
        standing->above_since = now;
    return now - standing->above_since >= standing->interval;
}
