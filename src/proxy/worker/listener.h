/* A listening socket of one thread: accepting is a step like any other, one connection each. */
#ifndef PROXY_WORKER_LISTENER_H
#define PROXY_WORKER_LISTENER_H

#include "proxy/worker/loop.h"
#include "proxy/worker/tls.h"

struct thread;

struct listener {
    struct thread *thread;
    const struct tls_frontend *frontend;
    struct watch watch;
    struct step step;
    bool paused;
};

void listener_open(struct listener *listener, struct thread *thread, int descriptor,
                   const struct tls_frontend *frontend);
/* At the connection limit, when descriptors are short, and while draining, nothing is accepted. */
void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);

#endif
