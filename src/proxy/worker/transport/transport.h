/*
 * How a connection reads from its client and writes to it. libssl uses it through client_bio.h; the
 * event loop gets its events from the watch.
 *
 * Another transport is one file and one row of the table in transports.c.
 */
#ifndef PROXY_WORKER_TRANSPORT_TRANSPORT_H
#define PROXY_WORKER_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "loop/loop.h"

struct transport;

/* The calls do not block: -1 with EAGAIN means that nothing can be read or written now. */
struct transport_kind {
    const char *name;
    /* Sets what accepted connections inherit from a listening socket. NULL: nothing. */
    void (*prepare)(int listener);
    /* Takes a client from the backlog. Returns a descriptor, or -1 with errno. */
    int (*accept)(int listener, struct sockaddr_storage *peer);
    /* Copies the next bytes without consuming them. Returns 0 at the end, or -1 with errno. */
    ssize_t (*peek)(const struct transport *transport, void *bytes, size_t size);
    /* Consumes the next bytes. If it returns fewer than fit, no more have arrived. */
    ssize_t (*read)(const struct transport *transport, struct iovec *parts, size_t part_count);
    /* `more`: other bytes follow at once, and these may wait for them. Returns how many were
     * written, or -1 with errno. */
    ssize_t (*write)(const struct transport *transport, const void *bytes, size_t length,
                     bool more);
    /* Tells the client that nothing more will be written. Reading continues. */
    void (*end_writing)(const struct transport *transport);
    /* Gets the address that the client connected to; AF_UNSPEC if it is not known. */
    void (*local_address)(const struct transport *transport, struct sockaddr_storage *address);
};

struct transport {
    const struct transport_kind *kind;
    struct watch watch;
};

#endif
