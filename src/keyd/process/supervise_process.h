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

/* The supervisor, as its key processes see it. They call it while they start. */
struct key_process_owner {
    struct loop *loop;
    /* The process is ready, and the vault is filled. */
    void (*ready)(struct key_process_owner *owner, struct key_process *process);
    /* The process will not become ready, although it has not ended. */
    void (*failed)(struct key_process_owner *owner, struct key_process *process,
                   const char *reason);
};

struct key_process {
    struct list node;
    struct key_process_owner *owner;
    pid_t pid;
    uint64_t started;             /* CLOCK_MONOTONIC, ns */
    struct watch session;         /* while it starts: its first client is the supervisor */
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
/* Tells it to answer its requests and to end; it is killed if it has not ended in time. After a
 * second call it ends at once. */
void key_process_leave(struct key_process *process);
/* It has ended, and waitpid() has reported it. Its memory is freed at the end of the turn. */
void key_process_free(struct key_process *process);

#endif
