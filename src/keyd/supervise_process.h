/*
 * A key process, as its supervisor sees it.
 *
 *     starting --answers HELLO--> ready --TERM--> leaving --> ended
 */
#ifndef KEYD_SUPERVISE_PROCESS_H
#define KEYD_SUPERVISE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/file_table.h"
#include "base/list.h"

struct key_process {
    struct list node;
    pid_t pid;
    int session;       /* while it starts: our connection, its first; else -1 */
    bool ready;        /* it has answered */
    uint64_t started;  /* CLOCK_MONOTONIC, ns, as is the next */
    uint64_t deadline; /* when it must be ready, or gone; UINT64_MAX: it serves */
};

/* Starts `program` on the listening socket and the configuration, which is among the files that it
 * is handed. NULL: reason logged. */
struct key_process *key_process_start(const char *program, const char *config,
                                      const struct file_table *files, int listener);
/* Something has come over its session, or the end of it: says whether it is ready. */
bool key_process_heard(struct key_process *process);
/* It shall answer what it has, and end; said twice, end at once. */
void key_process_leave(struct key_process *process, uint64_t now);
/* Kills it if its deadline has passed. */
void key_process_tick(struct key_process *process, uint64_t now);
/* It has ended and been waited for. */
void key_process_free(struct key_process *process);

#endif
