/*
 * A key process, as its supervisor sees it.
 *
 *     starting --answers HELLO--> ready --TERM--> leaving --> ended
 */
#ifndef KEYD_PROCESS_SUPERVISE_PROCESS_H
#define KEYD_PROCESS_SUPERVISE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "daemon/hand_over.h"

struct key_process {
    struct list node;
    pid_t pid;
    int session;                /* while it starts: our connection, its first; else -1 */
    struct hand_over hand_over; /* while it starts */
    bool ready;                 /* it has answered */
    uint64_t started;           /* CLOCK_MONOTONIC, ns, as is the next */
    uint64_t deadline;          /* when it must be ready, or gone; UINT64_MAX: it serves */
};

/* Starts `setup` (without its session) and hands over as hand_over_start() does. NULL with errno.
 */
struct key_process *key_process_start(const struct hand_over_process *setup,
                                      const struct name_table *names, struct vault *vault);
/* Something has come over its session, or the end of it: says whether it is ready, and has filled
 * the vault. */
bool key_process_heard(struct key_process *process);
/* It shall answer what it has, and end; said twice, end at once. */
void key_process_leave(struct key_process *process, uint64_t now);
/* Kills one that leaves, if its deadline has passed. */
void key_process_tick(struct key_process *process, uint64_t now);
/* It has ended and been waited for. */
void key_process_free(struct key_process *process);

#endif
