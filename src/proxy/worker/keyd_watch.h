/*
 * The worker's main thread and immured: at the start it asks whether immured holds the keys of all
 * certificates, and then, every second, for its figures.
 */
#ifndef PROXY_WORKER_KEYD_WATCH_H
#define PROXY_WORKER_KEYD_WATCH_H

#include "proxy/keyd_figures.h"
#include "proxy/worker/keylink.h"
#include "proxy/worker/tls.h"

struct keyd_watch {
    struct keylink link;
    struct keyd_figures figures;
};

/* `control`: the main thread's socket to the master; what comes on it goes to `command`. */
bool keyd_watch_open(struct keyd_watch *watch, int control, void *owner,
                     void (*command)(void *owner, const struct control_message *message));
void keyd_watch_close(struct keyd_watch *watch);
/* False: *error names the first certificate whose key is missing, or says why it is not known. */
bool keyd_watch_check(struct keyd_watch *watch, const struct config *config, const struct tls *tls,
                      struct conf_error *error);
/* The ticket keys that immured has a secret for, if it has: whether *keys was filled, and *at, when
 * to ask for the next ones (CLOCK_MONOTONIC, ns). */
bool keyd_watch_tickets(struct keyd_watch *watch, struct ticket_keys *keys, uint64_t *at);
/* Takes well under a second, whatever immured does. */
void keyd_watch_ask(struct keyd_watch *watch);

#endif
