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
#include "loop/loop.h"

struct key_process;

/* Who has started it is told, while it starts: */
struct key_process_owner {
    struct loop *loop;
    /* It is ready, and the vault is filled. */
    void (*ready)(struct key_process_owner *owner, struct key_process *process);
    /* It will not become ready, though it has not ended. */
    void (*failed)(struct key_process_owner *owner, struct key_process *process,
                   const char *reason);
};

struct key_process {
    struct list node;
    struct key_process_owner *owner;
    pid_t pid;
    uint64_t started;             /* CLOCK_MONOTONIC, ns */
    struct watch session;         /* while it starts: the first connection to it is ours */
    struct hand_over hand_over;   /* while it starts */
    struct watch hand_over_watch; /* of its socket */
    struct timer deadline;        /* when it must be ready, or gone */
    bool ready;                   /* it has answered */
    bool leaving;
    struct work release;
};

/* Starts `setup` (without its session) and hands over as hand_over_start() does. NULL with errno.
 */
struct key_process *key_process_start(struct key_process_owner *owner,
                                      const struct hand_over_process *setup,
                                      const struct name_table *names, struct vault *vault);
/* It shall answer what it has, and end, or be killed if it does not end in time. Said twice: end at
 * once. */
void key_process_leave(struct key_process *process);
/* It has ended and been waited for. Its memory is freed at the end of the turn. */
void key_process_free(struct key_process *process);

#endif
