/*
 * A loop thread's way to its master and, through it, to immured: one connection, and the client on
 * it. When the connection is lost another is asked for, and what was pending is sent again.
 */
#ifndef PROXY_WORKER_CORE_KEYLINK_H
#define PROXY_WORKER_CORE_KEYLINK_H

#include "immure/blocking.h"
#include "immure/client.h"
#include "loop/loop.h"
#include "proxy/config/config.h"
#include "proxy/shared/control.h"
#include "proxy/shared/metrics.h"

struct keylink {
    struct loop *loop; /* NULL: without a loop; only `blocking` is used */
    struct thread_metrics *metrics;
    struct watch control;             /* to the master; the descriptor is the owner's */
    struct watch connection;          /* to immured */
    struct timer retry;               /* to ask the master for a connection */
    struct timer deadline;            /* of the request that ends first */
    struct immure_client *client;     /* signing = async */
    struct immure_blocking *blocking; /* signing = sync */
    void *owner;
    /* What the master says that is not about the link: TICKETS, DRAIN, and (message NULL) that it
     * is gone. */
    void (*command)(void *owner, const struct control_message *message);
};

/*
 * `control`: socket to the master. `requests`: how many may be pending. The caller has zeroed *link
 * and set loop, metrics, owner and command. False: out of memory.
 */
bool keylink_open(struct keylink *link, int control, enum signing_mode mode, size_t requests);
void keylink_close(struct keylink *link);
/* Sends all that was asked since the last turn: one write. */
void keylink_flush(struct keylink *link);

#endif
