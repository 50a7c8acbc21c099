/*
 * The standing delay of a queue, as CoDel finds it (RFC 8289): whether everything that left the
 * queue during an interval had waited for longer than the target. A burst makes some wait for long,
 * and is no reason to act; a queue that is never shorter has more to do than it can.
 */
#ifndef PROXY_WORKER_ADMISSION_STANDING_H
#define PROXY_WORKER_ADMISSION_STANDING_H

#include <stdbool.h>
#include <stdint.h>

struct standing {
    uint64_t target, interval;  /* ns; the owner sets them */
    uint64_t above_since, last; /* ns: the first and the last of those above the target */
    bool above;
    uint64_t waited; /* ns: of the last one, for the log */
};

/* Something has left the queue that it waited in for `waited`, or (0) the queue is empty. Returns
 * whether the delay is a standing one. */
bool standing_note(struct standing *standing, uint64_t waited, uint64_t now);

#endif
