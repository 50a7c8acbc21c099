/*
 * Session ticket keys that immured derives from a secret: a loop thread's own copy, which it renews
 * by itself at the end of each epoch. Between two handshakes only, and no other thread sees it.
 */
#ifndef PROXY_WORKER_ROUTE_TICKET_RENEWAL_H
#define PROXY_WORKER_ROUTE_TICKET_RENEWAL_H

#include "immure/blocking.h"
#include "immure/client.h"
#include "proxy/worker/route/tickets.h"

struct ticket_renewal {
    struct tickets *tickets; /* NULL: the keys come from the master */
    struct immure_client *client;     /* who asks immured: this one, */
    struct immure_blocking *blocking; /* or this one, if it is not NULL */
    uint64_t at; /* when to ask, CLOCK_MONOTONIC, ns; UINT64_MAX: not now */
};

#define TICKET_RENEWAL_INIT ((struct ticket_renewal){.at = UINT64_MAX})

/* From now on the keys come from immured, these first. The caller has filled *renewal. */
void ticket_renewal_begin(struct ticket_renewal *renewal, const struct ticket_keys *keys);
/* Whether it has begun. */
bool ticket_renewal_active(const struct ticket_renewal *renewal);
/* In each turn of the loop, before what is asked is sent. */
void ticket_renewal_tick(struct ticket_renewal *renewal, uint64_t now);

/* What immured gave out, as tickets.h has it. */
void ticket_renewal_convert(const struct immure_ticket_keys *given, struct ticket_keys *keys);

#endif
