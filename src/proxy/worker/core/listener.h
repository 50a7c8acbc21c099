/* A listening socket of one thread: accepting is a step like any other, one connection each. */
#ifndef PROXY_WORKER_CORE_LISTENER_H
#define PROXY_WORKER_CORE_LISTENER_H

#include "proxy/worker/core/turn.h"
#include "proxy/worker/route/tls.h"

struct thread;

struct listener {
    struct thread *thread;
    const struct tls_frontend *frontend;
    struct watch watch;
    struct step step;
    struct timer rest;
    bool stopped; /* for good */
};

void listener_open(struct listener *listener, struct thread *thread, int descriptor,
                   const struct tls_frontend *frontend);
/* Nothing more is accepted: the thread drains. */
void listener_stop(struct listener *listener);

#endif
