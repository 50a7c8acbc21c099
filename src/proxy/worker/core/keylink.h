/*
 * A loop thread's link to its master and, through it, to immured: one connection and the client
 * that uses it. When the connection is lost the master is asked for another one, and pending
 * requests are sent again.
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
    struct watch control;             /* to the master; the owner closes the descriptor */
    struct watch connection;          /* to immured */
    struct timer retry;               /* until the master is asked for a connection again */
    struct timer deadline;            /* of the pending request with the earliest deadline */
    struct immure_client *client;     /* signing = async */
    struct immure_blocking *blocking; /* signing = sync */
    void *owner;
    /* Gets the master's messages that are not about the link, such as TICKETS and DRAIN, and what
     * is attached to them (-1: nothing). `message` is NULL when the master has gone. */
    void (*command)(void *owner, const struct control_message *message, int descriptor);
};

/*
 * `control` is the socket to the master, `requests` the number of requests that may be pending. The
 * caller has zeroed *link and set loop, metrics, owner and command. False: out of memory.
 */
bool keylink_open(struct keylink *link, int control, enum signing_mode mode, size_t requests);
void keylink_close(struct keylink *link);
/* Sends all requests that were made since the last turn, with one write. */
void keylink_flush(struct keylink *link);

#endif
