/* Floods immured with raw frames, without libimmure's good behaviour. Each flood is a process of
 * its own that switches to another user. */
#ifndef BENCH_FLOOD_H
#define BENCH_FLOOD_H

#include <stdatomic.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "immure/client.h"

struct flood {
    const struct flood_kind *kind;
    const char *name; /* of the abstract socket */
    uid_t uid;        /* the user who may connect */
    uid_t stranger;   /* a user who may not */
    struct immure_request request;
    size_t connections, window;
    uint64_t until; /* CLOCK_MONOTONIC, ns */
    atomic_ulong *replies;
};

extern const struct flood_kind {
    const char *name;
    void (*run)(struct flood *flood);
} flood_kinds[];
extern const size_t flood_kind_count;

/* Runs in a child process until `until`. */
void flood_run(struct flood *flood);
/* A counter in memory shared with child processes. */
atomic_ulong *flood_counter(void);
int flood_connect(const char *name);

void flood_put_hello(struct buffer *output);
void flood_put_ping(struct buffer *output, uint64_t id);
void flood_put_sign(struct buffer *output, uint64_t id, const struct immure_request *request);

#endif
