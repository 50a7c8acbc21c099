/*
 * One storm thread: it starts connections on schedule (open loop) or as others end (closed loop),
 * carries each through handshake, request and close, and counts.
 */
#ifndef STORM_HANDSHAKER_H
#define STORM_HANDSHAKER_H

#include "storm/tally.h"
#include "storm/target.h"

#define DESCRIPTION_SIZE 128

struct handshaker;

/* Thread `index` of options->threads. With --resume, this fetches a session from the server. NULL
 * with target->error. `target` and `tally` must outlive it. */
struct handshaker *handshaker_new(struct target *target, unsigned index,
                                  struct thread_tally *tally);
void handshaker_free(struct handshaker *handshaker);

/* Runs until the timetable's end, and then until all connections have ended or timed out. */
void handshaker_run(struct handshaker *handshaker, const struct timetable *timetable);

/* What the first successful handshake negotiated, or "". Call it after the run. */
const char *handshaker_description(const struct handshaker *handshaker);

#endif
