/*
 * Session ticket keys that immured derives from a secret: a loop thread's own copy, which it renews
 * by itself at the end of each epoch. Between two handshakes only, and no other thread sees it.
 */
#ifndef PROXY_WORKER_ROUTE_TICKET_RENEWAL_H
#define PROXY_WORKER_ROUTE_TICKET_RENEWAL_H

#include "immure/client.h"
#include "proxy/worker/core/keylink.h"
#include "proxy/worker/route/tickets.h"

struct ticket_renewal {
    struct tickets *tickets; /* NULL: the keys come from the master */
    struct keylink *link;
    struct timer timer; /* when to ask */
};

/* From now on the keys come from immured, these first, and the next ones at the time `at`
 * (CLOCK_MONOTONIC, ns). */
void ticket_renewal_begin(struct ticket_renewal *renewal, struct tickets *tickets,
                          struct keylink *link, const struct ticket_keys *keys, uint64_t at);
/* Whether it has begun. */
bool ticket_renewal_active(const struct ticket_renewal *renewal);

/* What immured gave out, as tickets.h has it. */
void ticket_renewal_convert(const struct immure_ticket_keys *given, struct ticket_keys *keys);

#endif
