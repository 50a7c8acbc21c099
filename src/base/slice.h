/*
 * How soon a thread runs after waking on a busy core. Since Linux 6.12, a thread that asks for a
 * shorter time slice than others does not wait for the end of theirs; its share of the CPU stays
 * the same. Needs no privilege.
 *
 * Source: sched_setattr(2); kernel documentation, scheduler/sched-eevdf.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stdint.h>

/* Sets the slice of the calling thread, in ns; the kernel accepts 100 us to 100 ms. False with
 * errno. An older kernel reports success and changes nothing. */
bool slice_set(uint64_t ns);
/*
 * For a thread that measures others and would otherwise attribute its own scheduling delays to
 * them: real time (SCHED_FIFO, which needs root or CAP_SYS_NICE), or else the shortest slice. The
 * thread must sleep most of the time. Threads that it starts do not inherit this.
 */
void slice_precede(void);

#endif
