/* Floods of immured, in raw frames, for who keeps no promise that libimmure keeps: a process of its
 * own, that becomes another user, for each. */
#ifndef BENCH_FLOOD_H
#define BENCH_FLOOD_H

#include <stdatomic.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "immure/client.h"

struct flood {
    const struct flood_kind *kind;
    const char *name; /* abstract, of the socket */
    uid_t uid;        /* who may connect */
    uid_t stranger;   /* who may not */
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

/* In a child process: until it is over. */
void flood_run(struct flood *flood);
/* Memory that child processes count in. */
atomic_ulong *flood_counter(void);
int flood_connect(const char *name);

void flood_put_hello(struct buffer *output);
void flood_put_ping(struct buffer *output, uint64_t id);
void flood_put_sign(struct buffer *output, uint64_t id, const struct immure_request *request);

#endif
