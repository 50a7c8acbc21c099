/* The state of a refresh (refresh.h). */
#ifndef PROXY_MASTER_REFRESH_STATE_H
#define PROXY_MASTER_REFRESH_STATE_H

#include "conf/error.h"
#include "loop/loop.h"
#include "proxy/master/keyd_keys.h"
#include "proxy/store/refusals.h"

enum refresh_step {
    REFRESH_IDLE,
    REFRESH_READS,
    REFRESH_ADDS,
    REFRESH_OFFERS,
    REFRESH_SWAPS,
    REFRESH_REMOVES
};

enum refresh_outcome {
    REFRESH_NO_OUTCOME,
    REFRESH_DONE,
    REFRESH_FAILED,  /* `failure` says why */
    REFRESH_TOO_MUCH /* what has changed takes another generation */
};

struct refresh {
    enum refresh_step step;
    bool again; /* it was asked for once more meanwhile */
    struct timer limit;
    struct refusals refused;
    uint32_t refusals_seen; /* by the loader */
    /* The next ones; when they have come into force, those before. */
    int memory; /* -1: none */
    struct store *store;
    struct keyd_keys keys;
    uint32_t *changes; /* indexes of those of `keys` that are added or removed, from `next` on */
    size_t change_count, next;
    bool keys_stay; /* a thread goes on with the store before */
    enum refresh_outcome outcome;
    char failure[sizeof(struct conf_error)];
};

#endif
