/* The state of a refresh (refresh.h). */
#ifndef PROXY_MASTER_REFRESH_STATE_H
#define PROXY_MASTER_REFRESH_STATE_H

#include "conf/error.h"
#include "loop/loop.h"
#include "proxy/master/keyd_keys.h"
#include "proxy/master/report.h"
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

/* Somebody who waits for the report of a refresh, or of a trial: the loader reads the files, and
 * nothing comes into force. */
struct refresh_request {
    struct list node;
    bool tries;
    /* Called once, when the node is in no list any more. `report` is NULL if memory is short. */
    void (*done)(struct refresh_request *request, struct report *report);
};

struct refresh {
    enum refresh_step step;
    bool wanted;           /* HUP or the watcher of folders asks for one, which has not begun */
    bool reloads;          /* they asked for this one, so what is too much for it takes a reload */
    bool tries;            /* this one is a trial */
    struct list waiting;   /* requests that none has begun for */
    struct list under_way; /* requests that this one is for */
    struct timer limit;
    struct refusals refused;
    uint32_t refusals_seen; /* by the loader */
    /* The next ones; when they have come into force, those before. */
    int memory; /* -1: none */
    struct store *store;
    struct keyd_keys keys;
    uint32_t *changes; /* indexes of those of `keys` that are added or removed, from `next` on */
    size_t change_count, next;
    bool keys_stay;        /* a thread goes on with the store before */
    struct report *report; /* of what has come into force; NULL: nothing has */
    enum refresh_outcome outcome;
    char failure[sizeof(struct conf_error)];
};

#endif
