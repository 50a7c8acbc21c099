/*
 * How often a client may ask: a token bucket for each client and key, and one for all that a client
 * asks. A client is a uid, however many connections it has.
 *
 * A bucket is one number, the time at which it will be full again (the generic cell rate algorithm,
 * ITU-T I.371): a request moves it on by the interval, and is refused if that is further from now
 * than the whole burst.
 */
#ifndef KEYD_RATE_H
#define KEYD_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"

struct rate {
    uint64_t interval; /* ns between requests in the long run; 0: no limit */
    uint64_t burst;    /* ns: so many intervals at once, after a pause */
};

/* "1000/s", "90/m", "1000/s burst 50"; without a burst it is what one second brings, at least one
 * request. */
bool rate_parse(const char *text, struct rate *rate);

/* What one client has used up. It outlives the client's connections until its buckets are full, so
 * that connecting again fills none. */
struct account {
    struct list node;
    uid_t uid;
    size_t sessions;
    uint64_t all;    /* when each is full again: CLOCK_MONOTONIC, ns */
    uint64_t keys[]; /* by the key's index in the keyring */
};

/* Finds or makes it for one more session; NULL: out of memory. */
struct account *account_open(struct list *accounts, uid_t uid, size_t key_count, uint64_t now);
void account_close(struct account *account);
void accounts_free(struct list *accounts);

/* Takes a request with a key off it. False: that is too many, and nothing was taken. */
bool account_take(struct account *account, const struct rate *all, const struct rate *key,
                  size_t key_index, uint64_t now);

#endif
