/*
 * Session ticket keys that immured derives from a secret. A loop thread has its own copy, which it
 * renews at the end of each epoch, between two handshakes. Until immured answers, the thread goes
 * on with the key of the epoch that has ended, and with no older one.
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
    struct immure_client *client;
    struct immure_blocking *blocking; /* if not NULL: used instead of `client` */
    /* Sends what `client` has to send, because this turn may have flushed already. */
    void (*send)(struct ticket_renewal *renewal);
    struct timer timer; /* when to ask */
};

/* The caller has set everything except the timer. From now on the keys come from immured: `keys`
 * are the first ones, and the next ones are asked for at the time `at` (CLOCK_MONOTONIC, ns). */
void ticket_renewal_begin(struct ticket_renewal *renewal, const struct ticket_keys *keys,
                          uint64_t at);
/* Whether ticket_renewal_begin() was called. */
bool ticket_renewal_active(const struct ticket_renewal *renewal);

/* Converts keys from immured to the form of tickets.h. */
void ticket_renewal_convert(const struct immure_ticket_keys *given, struct ticket_keys *keys);

#endif
