/*
 * A generation: a configuration and the processes that serve it, a worker and (unless another is
 * used) an immured. A reload makes a new one beside the old one.
 *
 *     STARTING --worker is ready--> RUNNING --drain--> DRAINING --processes have ended--> ENDED
 *         \--configuration refused, process ended, or START_LIMIT--> FAILED --discard--> DRAINING
 *
 * While RUNNING, what dies is started again. The socket on which immured listens is the master's,
 * so that connections made meanwhile wait for the next immured.
 */
#ifndef PROXY_MASTER_GENERATION_H
#define PROXY_MASTER_GENERATION_H

#include "base/list.h"
#include "base/name_table.h"
#include "daemon/child.h"
#include "daemon/hand_over.h"
#include "proxy/config/config.h"
#include "proxy/control.h"
#include "proxy/master/listening.h"
#include "proxy/metrics_history.h"

enum generation_state {
    GENERATION_STARTING,
    GENERATION_RUNNING,
    GENERATION_FAILED, /* failure says why */
    GENERATION_DRAINING,
    GENERATION_ENDED
};

/* What all generations have in common; the master's. */
struct generation_setup {
    struct listening_setup listening;
    const struct ticket_keys *tickets;
    struct metrics_history *history;
    uint64_t started; /* of the master; seconds since 1970 */
    bool test;        /* come up, but never listen: listening.bind is false too */
    int epoll;        /* where its controls are watched, with the struct control_end as the data */
};

/* Our end of one of the worker's controls. What there is no room for, as the worker is slow to
 * read, is owed and sent when there is. */
struct control_end {
    struct generation *generation;
    int socket; /* -1: closed */
    bool owes_drain, owes_tickets, owes_keyd;
    uint32_t servers_from, servers_to; /* the addresses of these backends are owed */
    bool waits;                        /* for room */
};

struct generation {
    struct list node;
    const struct generation_setup *setup;
    struct config *config;
    enum generation_state state;
    uint64_t deadline;       /* of STARTING and DRAINING; then the next harder measure is taken */
    uint64_t drain_deadline; /* of DRAINING, as the worker is told */
    char failure[256];

    struct listening **listening; /* of each thread in turn, then of the admin page */
    size_t listening_count;
    size_t address_count; /* of one thread */

    struct child keyd, worker, resolver;
    struct generation_metrics *metrics; /* what its workers count */
    struct control_end names;           /* of the resolver */
    /* What each immured of it is started with: the text of its configuration, under this name, and
     * the files of those names, which are the vault's when the first has read them. */
    int keyd_text; /* -1: none */
    char *keyd_name;
    struct name_table keyd_names;
    struct vault keyd_vault;
    struct hand_over keyd_hand_over;
    struct control_end keyd_control; /* watches that */
    int keyd_listener;               /* -1: none */
    int keyd_trouble;                /* errno of the last connection to it; 0: there was one */
    struct address keyd_address;
    struct control_end *controls; /* one a thread, then the main thread's */
    size_t control_count;
};

/* Takes the configuration, and starts; `before` is the one in force, or NULL. NULL with *error
 * filled: the configuration is freed too. */
struct generation *generation_new(struct config *config, const struct generation_setup *setup,
                                  const struct generation *before, struct conf_error *error);
/* Only when it has ended. */
void generation_free(struct generation *generation);

/* It is up: its sockets begin to listen. False, with *error filled, if they cannot. */
bool generation_listen(struct generation *generation, struct conf_error *error);
/* Accept no more, end what is open by `deadline` (UINT64_MAX: as it ends by itself). Sockets that
 * no other generation has are closed. Again: by another deadline. */
void generation_drain(struct generation *generation, uint64_t deadline);
/* It drains, and its connections may go on for now. */
bool generation_has_time(const struct generation *generation, uint64_t now);
/* End now; for one that did not come up, and when there is no patience left. */
void generation_discard(struct generation *generation);
void generation_send_tickets(struct generation *generation);
/* The addresses of a backend's servers, as the configuration has them now. */
void generation_send_servers(struct generation *generation, uint32_t backend);

/* What the master's loop tells it. */
void generation_control_ready(struct control_end *control);
/* Whether the process was one of its own. */
bool generation_process_ended(struct generation *generation, pid_t pid, int status);
/* When it wants to be called again. */
uint64_t generation_next_deadline(const struct generation *generation);
void generation_tick(struct generation *generation, uint64_t now);

#endif
