/*
 * Session ticket keys that immured derives from a secret: a loop thread's own copy, which it renews
 * by itself at the end of each epoch. Between two handshakes only, and no other thread sees it.
 */
#ifndef PROXY_WORKER_ROUTE_TICKET_RENEWAL_H
#define PROXY_WORKER_ROUTE_TICKET_RENEWAL_H

#include "immure/blocking.h"
#include "immure/client.h"
#include "loop/loop.h"
#include "proxy/worker/route/tickets.h"

struct ticket_renewal {
    struct tickets *tickets; /* NULL: the keys come from the master */
    struct loop *loop;
    struct immure_client *client;     /* who asks immured: this one, */
    struct immure_blocking *blocking; /* or this one, if it is not NULL */
    /* The client has something to send, and no other work of this turn may come to send it. */
    void (*send)(struct ticket_renewal *renewal);
    struct timer timer; /* when to ask */
};

/* The caller has filled all but the timer. From now on the keys come from immured, these first, and
 * the next ones at the time `at` (CLOCK_MONOTONIC, ns). */
void ticket_renewal_begin(struct ticket_renewal *renewal, const struct ticket_keys *keys,
                          uint64_t at);
/* Whether it has begun. */
bool ticket_renewal_active(const struct ticket_renewal *renewal);

/* What immured gave out, as tickets.h has it. */
void ticket_renewal_convert(const struct immure_ticket_keys *given, struct ticket_keys *keys);

#endif
