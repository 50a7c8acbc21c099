/*
 * Limits of connections and of their rate by source, for all threads of a worker.
 *
 * They are counted in a sketch of fixed size (count-min: Cormode and Muthukrishnan, 2005): each
 * prefix has a place in each of a few rows, which it may share with others, and the least of its
 * places counts. So a prefix may seem to have more than it has, never less. It is taken for another
 * one only if it meets busy ones in all rows, and clients do not know the seeds. What is refused is
 * not counted, so a flood does not fill the sketch.
 */
#ifndef PROXY_WORKER_ADMISSION_LIMITS_H
#define PROXY_WORKER_ADMISSION_LIMITS_H

#include "proxy/worker/admission/source.h"

/* The time over which a rate is averaged: a source may open so much of it at once. */
#define LIMITS_BURST_S 10

enum limited {
    LIMITED_NOT,
    LIMITED_CONNECTIONS, /* the source has as many open as it may */
    LIMITED_RATE
};

struct source_limits;

/* `connections`: open ones of a source; `rate`: new ones in a second; 0: no limit. NULL: out of
 * memory, or no seed. */
struct source_limits *source_limits_new(unsigned connections, unsigned rate);
void source_limits_free(struct source_limits *limits);
/* Counts a new connection, or says why it must not be. Any thread. */
enum limited source_limits_take(struct source_limits *limits, const struct source *source,
                                uint64_t now);
/* A connection that was counted has ended. */
void source_limits_give(struct source_limits *limits, const struct source *source);

#endif
