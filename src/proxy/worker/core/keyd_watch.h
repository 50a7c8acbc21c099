/*
 * The worker's main thread and immured: at the start it asks whether immured holds the keys of all
 * certificates, and then, every second, for its figures.
 */
#ifndef PROXY_WORKER_CORE_KEYD_WATCH_H
#define PROXY_WORKER_CORE_KEYD_WATCH_H

#include "proxy/shared/keyd_figures.h"
#include "proxy/worker/core/keylink.h"
#include "proxy/worker/route/tls.h"

struct keyd_watch {
    struct keylink link;
    struct keyd_figures figures;
    uint64_t uptime; /* of immured, when it was last asked; s */
};

/* `control`: the main thread's socket to the master; what comes on it goes to `command`. */
bool keyd_watch_open(struct keyd_watch *watch, int control, void *owner,
                     void (*command)(void *owner, const struct control_message *message));
void keyd_watch_close(struct keyd_watch *watch);
/* Notes which certificates are keyless. False: *error names the first of them, or says why it is
 * not known. Where the configuration has been served before, those that are keyless are told in the
 * log and are no error. */
bool keyd_watch_check(struct keyd_watch *watch, const struct tls *tls, struct conf_error *error);
/* The same while it serves: what has changed is told in the log. False: it is not known. */
bool keyd_watch_look(struct keyd_watch *watch, const struct tls *tls);
/* The ticket keys that immured has a secret for, if it has: whether *keys was filled, and *at, when
 * to ask for the next ones (CLOCK_MONOTONIC, ns). */
bool keyd_watch_tickets(struct keyd_watch *watch, struct ticket_keys *keys, uint64_t *at);
/* Takes well under a second, whatever immured does. Whether it is another immured than the one that
 * was asked last: it may hold other keys. */
bool keyd_watch_ask(struct keyd_watch *watch);

#endif
