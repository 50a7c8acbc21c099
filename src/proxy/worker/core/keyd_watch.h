/*
 * What the worker's main thread asks immured: at the start whether it holds the keys of all
 * certificates, and then its figures, every second.
 */
#ifndef PROXY_WORKER_CORE_KEYD_WATCH_H
#define PROXY_WORKER_CORE_KEYD_WATCH_H

#include <stdatomic.h>

#include "conf/error.h"
#include "proxy/shared/keyd_figures.h"
#include "proxy/store/store.h"
#include "proxy/worker/core/keylink.h"
#include "proxy/worker/route/certificates.h"

struct keyd_watch {
    struct keylink link;
    const struct store *store;
    struct keyd_figures figures;
    uint64_t uptime;      /* of immured when it last answered; s */
    atomic_bool *keyless; /* of the same store */
};

/* The store outlives *watch. `control`: the main thread's socket to the master; messages from it
 * are passed to `command`. */
bool keyd_watch_open(struct keyd_watch *watch, const struct shared_store *shared, int control,
                     void *owner,
                     void (*command)(void *owner, const struct control_message *message,
                                     int descriptor));
/* Another store is in force; keyd_watch_look() then notes which of its certificates are keyless. */
void keyd_watch_use(struct keyd_watch *watch, const struct shared_store *shared);
void keyd_watch_close(struct keyd_watch *watch);
/* Notes which certificates are keyless, and logs them. False: *error names the first that the
 * configuration requires, or says why immured could not be asked. If the configuration has been
 * served before (`again`), it requires none. */
bool keyd_watch_check(struct keyd_watch *watch, const char *config_file, bool again,
                      struct conf_error *error);
/* The same while the worker serves: changes are logged. False: immured did not answer. */
bool keyd_watch_look(struct keyd_watch *watch);
/* The certificates that are keyless, as noted last. */
void keyd_watch_lacks(const struct keyd_watch *watch, struct keyless_keys *keyless);
/* Fetches the ticket keys if immured has a secret to derive them from. Returns whether it filled
 * *keys, and *at, the time to ask for the next ones (CLOCK_MONOTONIC, ns). */
bool keyd_watch_tickets(struct keyd_watch *watch, struct ticket_keys *keys, uint64_t *at);
/* Asks for the figures; takes well under a second, whatever immured does. Returns whether this is
 * another immured than the one that answered last, because it may hold other keys. */
bool keyd_watch_ask(struct keyd_watch *watch);

#endif
