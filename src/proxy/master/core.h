/* The state of a generation (generation.h), shared by the files that it is made of. */
#ifndef PROXY_MASTER_CORE_H
#define PROXY_MASTER_CORE_H

#include "base/list.h"
#include "base/name_table.h"
#include "conf/error.h"
#include "daemon/child.h"
#include "daemon/hand_over.h"
#include "proxy/config/config.h"
#include "proxy/master/file_states.h"
#include "proxy/master/keyd_keys.h"
#include "proxy/master/listening.h"
#include "proxy/master/owed.h"
#include "proxy/master/refresh_state.h"
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
    struct ticket_keys *tickets;
    struct metrics_history *history;
    uint64_t started; /* of the master; seconds since 1970 */
    bool test;        /* they come up, but never listen; listening.bind is then false, too */
    struct loop *loop;
};

/* What a thread of the worker is told about servers. */
enum owed_kind {
    OWED_ADDRESSES,
    OWED_VERDICT,
    OWED_SETTING, /* the operator's */
    OWED_KIND_COUNT
};

/* Our end of one of the worker's controls. Messages for which the socket has no room, because the
 * worker is slow to read, are owed, and sent when it has. */
struct control_end {
    struct generation *generation;
    struct watch watch;
    bool owes_drain, owes_tickets, owes_keyd, owes_store;
    bool awaits_store; /* the answer to CONTROL_STORE */
    struct owed owed[OWED_KIND_COUNT];
    bool waits; /* something is owed */
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

    struct child keyd, worker, resolver, checker, loader, watcher;
    struct generation_metrics *metrics; /* what its workers count */
    struct watch names;                 /* for the resolver's answers; closed: none is wanted */
    struct watch health;                /* for the checker's reports; closed: there is none */
    struct owed owed;                   /* to the checker: addresses, and whether it rests */
    struct watch certificates;          /* for the loader's answer */
    struct watch folders;               /* for what the watcher tells */
    int store_memory;                   /* the certificates in force; -1: none yet */
    struct store *store;                /* the same, opened */
    struct refresh refresh;             /* brings other ones */
    struct keyless_keys keyless;        /* what immured lacks */
    /* Each immured of this generation is started with the text of its configuration, under this
     * name. The first one gets the files of these names, later ones the vault that the first has
     * filled. */
    int keyd_text; /* -1: none */
    char *keyd_name;
    struct name_table keyd_names;
    struct file_states keyd_files; /* when the first one was started */
    struct keyd_keys keyd_keys;    /* those of directories and lists */
    struct vault keyd_vault;
    struct hand_over keyd_hand_over;
    struct watch keyd_hand_over_watch; /* of its socket */
    int keyd_listener;                 /* -1: none */
    int keyd_trouble;                  /* errno of the last connection to it; 0: there was one */
    struct address keyd_address;
    struct control_end *controls; /* one a thread, then the main thread's */
    size_t control_count;
};

#endif
