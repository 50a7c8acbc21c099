/*
 * Who asks, and what that costs: an account owns everything that a user makes immured hold or do.
 * There is one account for each uid, however many connections it has.
 *
 * An account outlives its sessions until it is at rest, so that a user cannot clear it by
 * reconnecting. A user who is refused on connecting has one too, to bound the log lines that the
 * refusals write. The number of accounts is bounded; users who come when it is reached share one.
 */
#ifndef KEYD_RULES_ACCOUNT_H
#define KEYD_RULES_ACCOUNT_H

#include "base/clock.h"
#include "base/list.h"
#include "keyd/rules/rate.h"
#include "keyd/rules/share.h"

/* The limit of one account for requests other than SIGN and DECRYPT. */
#define ACCOUNT_ASIDES_A_SECOND 10000

/* The lines of the log and the audit that a peer can cause, each with a budget of its own. */
enum account_line {
    ACCOUNT_LINE_REFUSED, /* audit: refused */
    ACCOUNT_LINE_ALARM,   /* audit: alarm */
    ACCOUNT_LINE_SIGNED,  /* audit: signed and decrypted, if everything is audited; no budget */
    ACCOUNT_LINE_SESSION, /* log: its connections, and how they ended */
    ACCOUNT_LINES
};

struct account {
    struct list node; /* in accounts, the most recently found first */
    struct accounts *accounts;
    uint64_t id; /* the uid, or ACCOUNT_SHARED */

    struct list sessions; /* the one that has been silent for longest is first */
    size_t session_count;
    struct list input;  /* sessions with unprocessed input, served in turn */
    struct list paused; /* sessions whose input waits until account_reads() */
    struct list input_node;
    struct account_share queue;
    size_t bytes;  /* held: requests in flight, room for their replies, and unread replies */
    size_t unread; /* the part of `bytes` that is unread replies */

    uint64_t rest;  /* when all of the following buckets are full: CLOCK_MONOTONIC, ns */
    uint64_t all;   /* bucket of the general `rate` */
    uint64_t *keys; /* buckets of the `rate` of keys and groups of keys; NULL: none was used */
    uint64_t aside; /* bucket of requests other than SIGN and DECRYPT */

    struct account_tally {
        uint64_t bucket;
        uint64_t more; /* lines that were suppressed */
    } lines[ACCOUNT_LINES];
    struct list untold_node; /* in the audit's list of accounts with suppressed lines */
};

#define ACCOUNT_SHARED UINT64_MAX

struct accounts {
    struct list list;
    size_t count, most;
    struct account shared; /* by all users for whom there is no room in the list */
    struct share *all;     /* the signers' time */
    size_t bytes;          /* sum over all accounts */
};

/* `most`: how many accounts there may be besides the shared one. */
void accounts_init(struct accounts *accounts, struct share *all, size_t most);
void accounts_free(struct accounts *accounts);

/* Finds or makes the account; never NULL. The next call may free an account that is at rest. */
struct account *account_of(struct accounts *accounts, uint64_t id, uint64_t now);

/* The bytes that all accounts together may hold. An account may hold a third of what is still free,
 * which is a quarter of all if it is alone, so that a newcomer finds room (dynamic thresholds;
 * Choudhury, Hahne 1998). A session may hold a third of what its account has left. Each account may
 * hold ACCOUNT_BYTES_LEAST, however many others have taken their third. */
#define ACCOUNTS_BYTES_MAX (64u << 20)
#define ACCOUNT_BYTES_LEAST (16u << 10)

/* Whether a session that holds `held` bytes may hold `bytes` more. */
bool account_has_room(const struct account *account, size_t held, size_t bytes);
/* Whether immured reads from those of its sessions that leave replies unread: it does not while
 * the account as a whole leaves too many unread. */
bool account_reads(const struct account *account);
/* Counts bytes as held, whether there is room or not. */
void account_hold(struct account *account, size_t *held, size_t bytes);
void account_let_go(struct account *account, size_t *held, size_t bytes);

/* The limit of one key. */
struct key_limit {
    const struct rate *rate; /* NULL: the request is for no key */
    size_t bucket;           /* the number of its bucket */
};

/* Whether both the general rate and that of the key admit a request now. Takes no token. */
bool account_may_ask(const struct account *account, const struct rate *all, struct key_limit limit,
                     uint64_t now);
/* Takes the tokens of one request. `bucket_count`: of buckets that there are for keys. */
void account_charge(struct account *account, const struct rate *all, struct key_limit limit,
                    size_t bucket_count, uint64_t now);
/* Returns the tokens of a request that was refused for want of room after all. */
void account_give_back(struct account *account, const struct rate *all, struct key_limit limit);
/* Takes tokens from one of its buckets. The account is kept until that bucket is full again. */
void account_take(struct account *account, const struct rate *rate, uint64_t *full, unsigned count,
                  uint64_t now);
/* Takes tokens for requests other than SIGN and DECRYPT; false: the account asks too often. */
bool account_take_aside(struct account *account, unsigned count, uint64_t now);

#endif
