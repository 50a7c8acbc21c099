/*
 * The probes: established connections that ask on schedule, whatever becomes of the answers. All of
 * them on one thread, which does nothing else, so that the storm does not disturb the clock.
 *
 * A request that is due while an earlier one is unanswered waits for it, and its time counts from
 * when it was due. A connection that is lost is opened again.
 */
#ifndef STORM_PROBER_H
#define STORM_PROBER_H

#include "storm/tally.h"
#include "storm/target.h"

struct prober;

/* NULL, with target->error. `target` and `tally` outlive it. */
struct prober *prober_new(struct target *target, struct thread_tally *tally);
void prober_free(struct prober *prober);

/* Opens all connections, at most for connect and handshake time. Returns how many are there. */
unsigned prober_connect(struct prober *prober);
/* Asks until the timetable's end, and waits for what is unanswered then at most its time limit: so
 * each request that was due ends as answered or lost. */
void prober_run(struct prober *prober, const struct timetable *timetable);

#endif
