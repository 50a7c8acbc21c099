/*
 * Fair shares of the signers' time: start-time fair queueing (Goyal, Vin, Cheng 1996). Shares form
 * a tree: the queue's time is shared by accounts, an account's by its sessions, a session's by the
 * kinds of key that it asks for. On each level whoever has received least comes first; whoever
 * asked for nothing meanwhile has saved nothing up, and starts where the others are.
 *
 * This is the arithmetic. Which jobs wait where is the queue's (keyd/sign/queue.h).
 */
#ifndef KEYD_RULES_SHARE_H
#define KEYD_RULES_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"

#define SHARE_LINES_MAX 32 /* lines of the queue, one for each kind of key */

/* One of several that share the time of the signers. */
struct share {
    struct share *parent; /* what it has a part of; NULL: the queue's own, which is all */
    uint64_t received;    /* virtual time: ns of signers, divided by the weight */
    uint64_t now;  /* of those that share in this one: what the one served last had received */
    uint64_t most; /* of these: what the one that has received most will have received when
                      what it is being given is done */
    bool owed;     /* it came back, having received less than others, and waits still */
    size_t jobs;   /* that wait */
    size_t active; /* of those that share in this one, so many have jobs */
    uint64_t work; /* ns of one signer, estimated, of the jobs that wait */
};

/* An account's jobs of one kind. */
struct portion {
    struct heap_node node; /* in the line, by what the account has received */
    struct heap flows;     /* the queue's, one for each session with such jobs */
};

/* An account's part of all. */
struct account_share {
    struct share share;
    struct portion portions[SHARE_LINES_MAX];
};

void account_share_open(struct account_share *account, struct share *all);
/* None of its sessions is there any more. */
void account_share_close(struct account_share *account);

/* One job more waits, in a share and in all that it is a part of. `work`: what it is expected to
 * take, ns of one signer. */
void share_join(struct share *share, uint64_t work);
/* One job waits no more. */
void share_leave(struct share *share, uint64_t work);
/* One job of it is served. */
void share_serve(struct share *share);
/* What it has received has changed. */
void share_note_received(struct share *share);
/* Whether it, or one that it is a part of, came back having received less than others and has not
 * been served since. */
bool share_is_owed(const struct share *share);

#endif
