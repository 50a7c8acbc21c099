/*
 * The probes: established connections that send requests on a fixed schedule, whether or not
 * earlier ones were answered. One thread serves them all and does nothing else, so that the storm
 * does not distort their timing.
 *
 * A request that is due while an earlier one is unanswered waits for it, and its time counts from
 * when it was due. A lost connection is reopened.
 */
#ifndef STORM_PROBER_H
#define STORM_PROBER_H

#include "storm/tally.h"
#include "storm/target.h"

struct prober;

/* NULL with target->error. `target` and `tally` must outlive it. */
struct prober *prober_new(struct target *target, struct thread_tally *tally);
void prober_free(struct prober *prober);

/* Opens all connections, within the connect and handshake timeouts. Returns how many succeeded. */
unsigned prober_connect(struct prober *prober);
/* Sends requests until the timetable's end, then waits for unanswered ones until they time out. So
 * each request that was due ends as answered or lost. */
void prober_run(struct prober *prober, const struct timetable *timetable);

#endif
