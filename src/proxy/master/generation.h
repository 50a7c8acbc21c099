/*
 * A generation: a configuration and the processes that serve it, which are a worker and, unless it
 * uses a running one, an immured. A reload makes a new generation beside the old one.
 *
 *     STARTING --worker is ready--> RUNNING --drain--> DRAINING --processes have ended--> ENDED
 *         \--configuration refused, process ended, or START_LIMIT--> FAILED --discard--> DRAINING
 *
 * While it is RUNNING, a process that dies is started again. The master keeps the socket on which
 * immured listens, so that connections that are made in between wait for the next immured.
 */
#ifndef PROXY_MASTER_GENERATION_H
#define PROXY_MASTER_GENERATION_H

#include "base/list.h"
#include "base/name_table.h"
#include "conf/error.h"
#include "daemon/child.h"
#include "daemon/hand_over.h"
#include "proxy/config/config.h"
#include "proxy/master/listening.h"
#include "proxy/shared/control.h"
#include "proxy/shared/metrics_history.h"
#include "proxy/store/store.h"

enum generation_state {
    GENERATION_STARTING,
    GENERATION_RUNNING,
    GENERATION_FAILED, /* failure says why */
    GENERATION_DRAINING,
    GENERATION_ENDED
};

/* What the master gives to all generations. */
struct generation_setup {
    struct listening_setup listening;
    const struct ticket_keys *tickets;
    struct metrics_history *history;
    uint64_t started; /* of the master; seconds since 1970 */
    bool test;        /* they come up, but never listen; listening.bind is then false, too */
    struct loop *loop;
};

/* Our end of one of the worker's controls. Messages for which the socket has no room, because the
 * worker is slow to read, are owed, and sent when it has. */
struct control_end {
    struct generation *generation;
    struct watch watch;
    bool owes_drain, owes_tickets, owes_keyd;
    uint32_t servers_from, servers_to; /* the addresses of these backends are owed */
    bool waits;                        /* something is owed */
};

struct generation {
    struct list node;
    const struct generation_setup *setup;
    struct proxy_config *config;
    enum generation_state state;
    struct timer deadline;   /* when STARTING has failed, or DRAINING takes the next harder step */
    uint64_t drain_deadline; /* the one that the worker is told */
    char failure[sizeof(struct conf_error)];

    struct listening **listening; /* of each thread in turn, then of the admin page */
    size_t listening_count;
    size_t address_count; /* of one thread */

    struct child keyd, worker, resolver, loader;
    struct generation_metrics *metrics; /* what its workers count */
    struct watch names;                 /* for the resolver's answers; closed: none is wanted */
    struct watch certificates;          /* for the loader's answer */
    int store_memory;                   /* what it has sent, for each worker; -1: nothing yet */
    struct store *store;                /* the same, opened */
    /* Each immured of this generation is started with the text of its configuration, under this
     * name. The first one gets the files of these names, later ones the vault that the first has
     * filled. */
    int keyd_text; /* -1: none */
    char *keyd_name;
    struct name_table keyd_names;
    struct vault keyd_vault;
    struct hand_over keyd_hand_over;
    struct watch keyd_hand_over_watch; /* of its socket */
    int keyd_listener;                 /* -1: none */
    int keyd_trouble;                  /* errno of the last connection to it; 0: there was one */
    struct address keyd_address;
    struct control_end *controls; /* one a thread, then the main thread's */
    size_t control_count;
};

/* Takes the configuration over, and starts; `before` is the generation in force, or NULL. NULL with
 * *error filled; the configuration is freed then, too. */
struct generation *generation_new(struct proxy_config *config, const struct generation_setup *setup,
                                  const struct generation *before, struct conf_error *error);
/* It must have ended. */
void generation_free(struct generation *generation);

/* Its sockets begin to listen. False with *error filled. */
bool generation_listen(struct generation *generation, struct conf_error *error);
/* It accepts no more connections, and ends those that are open by `deadline`; UINT64_MAX: they end
 * by themselves. Sockets that no other generation has are closed. A second call changes the
 * deadline. */
void generation_drain(struct generation *generation, uint64_t deadline);
/* Whether it drains, and its connections may still go on. */
bool generation_has_time(const struct generation *generation, uint64_t now);
/* It ends at once: it has not come up, or its time is over. */
void generation_discard(struct generation *generation);
void generation_send_tickets(struct generation *generation);
/* Sends the addresses of a backend's servers, as they are in the configuration now. */
void generation_send_servers(struct generation *generation, uint32_t backend);

/* Whether the process was one of its own. */
bool generation_process_ended(struct generation *generation, pid_t pid, int status);
/* When its time to start or to drain is over; UINT64_MAX: it has as much as it needs. */
uint64_t generation_deadline(const struct generation *generation);

#endif
