/*
 * Fair shares of the signers' time: start-time fair queueing (Goyal, Vin, Cheng 1996). Shares form
 * a tree: accounts share the queue's time, sessions share their account's, and kinds of key share
 * their session's. On each level the share that has received least comes first. A share that was
 * idle saves nothing up: it starts where the others are.
 *
 * This file has only the arithmetic; the queue keeps the jobs (keyd/sign/queue.h).
 */
#ifndef KEYD_RULES_SHARE_H
#define KEYD_RULES_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"

#define SHARE_LINES_MAX 32 /* lines of the queue, one for each kind of key */

/* One node of the tree. */
struct share {
    struct share *parent; /* NULL: this is the root, the whole of the queue's time */
    uint64_t received;    /* virtual time: ns of signers, divided by the weight */
    uint64_t now;         /* what the child served last had received by then */
    uint64_t most; /* the greatest `received` of any child, work that is being done included */
    bool owed;     /* it came back, having received less than its siblings, and still waits */
    size_t jobs;   /* waiting jobs */
    size_t active; /* children with waiting jobs */
    uint64_t work; /* estimated time of the waiting jobs, ns of one signer */
};

/* An account's jobs of one kind. */
struct portion {
    struct heap_node node; /* in the line, by what the account has received */
    struct heap flows;     /* one for each session with such jobs; the queue fills it */
};

/* An account's share of the queue's time. */
struct account_share {
    struct share share;
    struct portion portions[SHARE_LINES_MAX];
};

void account_share_open(struct account_share *account, struct share *all);
/* To be called when none of its sessions is left. */
void account_share_close(struct account_share *account);

/* One more job waits, in the share and all its ancestors. `work`: the time that it is expected to
 * take, ns of one signer. */
void share_join(struct share *share, uint64_t work);
/* One job has stopped waiting. */
void share_leave(struct share *share, uint64_t work);
/* One of its jobs is served. */
void share_serve(struct share *share);
/* To be called when `received` of the share or an ancestor has changed. */
void share_note_received(struct share *share);
/* Whether the share or an ancestor came back having received less than its siblings, and has not
 * been served since. */
bool share_is_owed(const struct share *share);

#endif
