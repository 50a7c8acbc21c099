/*
 * Who asks, and what that costs: an account owns everything that somebody makes immured hold or
 * do. On this machine there is one for each uid, however many connections it has.
 *
 * It outlives its sessions until it is at rest, so that connecting again forgets nothing. Whoever
 * is refused at the door has one too, for the lines that this writes into the log. There are at
 * most so many accounts; whoever comes when there are shares one with all others who did.
 */
#ifndef KEYD_RULES_ACCOUNT_H
#define KEYD_RULES_ACCOUNT_H

#include "base/clock.h"
#include "base/list.h"
#include "keyd/rules/rate.h"
#include "keyd/rules/share.h"

/* What is neither SIGN nor DECRYPT, of one account: more is refused. */
#define ACCOUNT_ASIDES_A_SECOND 10000

/* The lines of the log and the audit that a peer can cause, each with a budget of its own. */
enum account_line {
    ACCOUNT_LINE_REFUSED, /* audit: refused */
    ACCOUNT_LINE_ALARM,   /* audit: alarm */
    ACCOUNT_LINE_SIGNED,  /* audit: signed and decrypted, where all is audited; no budget */
    ACCOUNT_LINE_SESSION, /* log: what became of its connections */
    ACCOUNT_LINES
};

struct account {
    struct list node; /* in accounts, the one found last in front */
    struct accounts *accounts;
    uint64_t id; /* whose: the uid; of the account that is shared ACCOUNT_SHARED */

    struct list sessions; /* the one that has been silent for longest in front */
    size_t session_count;
    struct list input;  /* sessions with input that was not looked at yet, by turns */
    struct list paused; /* sessions with input that wait until account_reads() */
    struct list input_node;
    struct account_share queue;
    size_t bytes;  /* held: requests under way, replies that they will have, and unread replies */
    size_t unread; /* of these, unread replies */

    uint64_t rest;  /* when all the buckets that follow are full: CLOCK_MONOTONIC, ns */
    uint64_t all;   /* of `rate` */
    uint64_t *keys; /* of the keys' `rate`, by place in the keyring; NULL: none was used */
    uint64_t aside; /* of what is neither SIGN nor DECRYPT */

    struct account_tally {
        uint64_t bucket;
        uint64_t more; /* lines that were not written */
    } lines[ACCOUNT_LINES];
    struct list untold_node; /* in the audit's list of accounts with such lines */
};

#define ACCOUNT_SHARED UINT64_MAX

struct accounts {
    struct list list;
    size_t count, most;
    struct account shared; /* by all for whom there is no room */
    struct share *all;     /* of the signers' time */
    size_t bytes;          /* of all accounts */
};

/* At most so many accounts besides the one that is shared. */
void accounts_init(struct accounts *accounts, struct share *all, size_t most);
void accounts_free(struct accounts *accounts);

/* Finds or makes the account; never NULL. One that is at rest may be gone after the next call. */
struct account *account_of(struct accounts *accounts, uint64_t id, uint64_t now);

/* What all accounts together may hold, bytes. An account may hold a third of what is left of it: a
 * quarter of all if it is alone, so that a newcomer finds room (dynamic thresholds;
 * Choudhury, Hahne 1998). A session may hold a third of what is left to its account. So little as
 * ACCOUNT_BYTES_LEAST each may hold, however many have taken their third. */
#define ACCOUNTS_BYTES_MAX (64u << 20)
#define ACCOUNT_BYTES_LEAST (16u << 10)

/* Whether there is room for so many bytes more of a session that holds `held`. */
bool account_has_room(const struct account *account, size_t held, size_t bytes);
/* Whether the input of its sessions is taken that leave replies unread: not while all together
 * leave too many. */
bool account_reads(const struct account *account);
/* Counts bytes that are held from now on, whether there is room or not. */
void account_hold(struct account *account, size_t *held, size_t bytes);
void account_let_go(struct account *account, size_t *held, size_t bytes);

/* The limit of one key. */
struct key_limit {
    const struct rate *rate; /* NULL: the request is for no key */
    size_t key;              /* its place in the keyring */
};

/* Whether it may ask for a signature now, by the rate of all keys and that of the key; nothing is
 * taken. */
bool account_may_ask(const struct account *account, const struct rate *all, struct key_limit limit,
                     uint64_t now);
/* It has asked. `key_count`: how many keys there are. */
void account_charge(struct account *account, const struct rate *all, struct key_limit limit,
                    size_t key_count, uint64_t now);
/* What it has asked for was refused for want of room after all. */
void account_give_back(struct account *account, const struct rate *all, struct key_limit limit);
/* Takes tokens from one of its buckets. Until that is full again the account is not forgotten. */
void account_take(struct account *account, const struct rate *rate, uint64_t *full, unsigned count,
                  uint64_t now);
/* Takes tokens for what is neither SIGN nor DECRYPT; false: it asks too often. */
bool account_take_aside(struct account *account, unsigned count, uint64_t now);

#endif
