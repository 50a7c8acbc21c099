/*
 * A backend of the configuration at run time. Each loop thread has its own pools, which choose by
 * the thread's own connections; what threads have to share is in proxy/shared/servers.h.
 *
 * A server that is up and has room is chosen by the pool's balance. If no server is up except for
 * backup servers, one of those is. If none is up at all, they are tried all the same, each once for
 * a connection and in turn: that they are down is a guess from the past, a refusal would be certain
 * to fail, and whoever is back first is found at once. What the operator has drained or disabled is
 * not tried.
 */
#ifndef PROXY_WORKER_BACKEND_POOL_H
#define PROXY_WORKER_BACKEND_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"
#include "proxy/config/config.h"
#include "proxy/shared/metrics.h"
#include "proxy/shared/servers.h"
#include "proxy/worker/backend/chooser.h"

/* One server behind the proxy. */
struct server {
    const char *name;                  /* as configured: an address or a host name */
    struct server_addresses addresses; /* as of now; none: its name has not been resolved yet */
    size_t connections;                /* of clients of this thread, now */
};

#define POOL_TIERS 2 /* the servers, then the backup servers */

struct pool {
    struct pools *pools;
    const struct backend_config *config;
    const char *name;
    struct server *servers;
    size_t server_count;
    struct shared_pool *shared;
    struct chooser tiers[POOL_TIERS];
    uint64_t *members[POOL_TIERS];      /* a bit for each server */
    uint64_t *known;                    /* the same: it is in its chooser */
    size_t trial_word;                  /* where the next look for servers to be tried begins */
    size_t resort;                      /* the server that is next when none is up */
    struct timer slow_start;            /* until the next step of weights that grow */
    struct list queue;                  /* struct search: they wait for room */
    struct list waiting;                /* in pools->waiting, while the queue has any */
    uint64_t queue_logged;              /* ns: when a client was last closed because of it */
    uint64_t shut_logged;               /* the same, because the operator has shut all servers */
    uint64_t connect_timeout;           /* ns */
    enum proxy_protocol proxy_protocol; /* NONE, V1 or V2: the header that is sent first */
    bool proxy_tlvs;                    /* with V2: pass on the TLVs of the header that came in */
    bool proxy_client_certificate;      /* with V2: send the client's whole certificate */
};

/* All pools of a thread, in the order of the configuration. */
struct pools {
    const struct proxy_config *config;
    struct loop *loop;
    struct thread_metrics *metrics;
    struct shared_servers *shared;
    unsigned thread;
    struct server *servers; /* of all pools, in the order of the configuration */
    size_t server_count;
    struct pool *of;
    size_t count;
    /* A server is paused for so many ns, or it is up again (0). NULL: nobody wants to know. */
    void (*paused)(struct pools *pools, size_t server, uint64_t pause);
    struct list waiting;     /* the pools in which connections wait */
    struct watch woken;      /* an eventfd of search.c: there may be room */
    struct timer look;       /* also of search.c, while connections wait */
    uint64_t failure_logged; /* ns: when a failure was logged last */
};

/* The configuration, loop, metrics and shared servers outlive the pools. `thread` is the number of
 * the thread. False: out of memory or descriptors; pools_close() has to be called all the same. */
bool pools_open(struct pools *pools, const struct proxy_config *config, struct loop *loop,
                struct thread_metrics *metrics, struct shared_servers *shared, unsigned thread);
void pools_close(struct pools *pools);
/* Sets what the resolver found for a server, by its number in the configuration, if there is such a
 * server. */
void pools_set_addresses(struct pools *pools, size_t server,
                         const struct server_addresses *addresses);
/* Takes over what the checks say of a server, by its number in the configuration. */
void pools_judge(struct pools *pools, size_t server, const struct server_verdict *verdict);
/* The same for what the operator has set for it. */
void pools_set(struct pools *pools, size_t server, const struct server_setting *setting);

/* What a connection has found so far in its search for a server. */
struct candidate {
    uint64_t source;       /* a hash of the client's address */
    uint64_t began;        /* ns: when the search began */
    unsigned tries;        /* servers that it has tried */
    size_t asked;          /* servers looked at because none is up */
    bool full;             /* one of those had no room */
    struct server *server; /* the one that was chosen */
    bool trial;            /* it has been paused, and this connection tries it */
    bool last;             /* there is no other to go to */
};

enum pool_choice {
    POOL_CHOSEN, /* candidate->server counts the connection: call pool_leave() */
    POOL_FULL,   /* servers are up, and have all the connections that they may have */
    POOL_MORE,   /* there are more servers to look at than fit into a turn: call it again in the
                    next one */
    POOL_NONE,   /* all of them have been tried */
    POOL_SHUT    /* the operator has drained or disabled all of them */
};
enum pool_choice pool_choose(struct pool *pool, struct candidate *candidate);
/* To be called once for each choice, when the connection has ended. */
void pool_leave(struct pool *pool, struct server *server);
/* One of these is called for each choice before that. The connection could not be made, for which
 * `cause` is an errno: counts and logs it. Returns whether another server may do better. */
bool pool_failed(struct pool *pool, struct candidate *candidate, int cause);
void pool_connected(struct pool *pool, struct candidate *candidate);
/* Nobody will know, because the client has left. */
void pool_given_up(struct pool *pool, struct candidate *candidate);

#endif
