/*
 * How soon a thread runs when it wakes on a busy core. From Linux 6.12 on, a thread that asks for
 * shorter slices of CPU time than others does not wait for the end of theirs; its share of the CPU
 * stays what it was. Needs no privilege.
 *
 * Source: sched_setattr(2); kernel documentation, scheduler/sched-eevdf.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stdint.h>

/* Of the calling thread, in ns: the kernel takes 100 us to 100 ms. False with errno; an older
 * kernel says yes and changes nothing. */
bool slice_set(uint64_t ns);
/*
 * For a thread that measures others and would count its own delays as theirs: real time
 * (SCHED_FIFO, which takes root or CAP_SYS_NICE), or else the shortest slices. It must run little.
 * Threads that it starts are ordinary ones.
 */
void slice_precede(void);

#endif
