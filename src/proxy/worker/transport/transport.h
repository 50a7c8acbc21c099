/*
 * What a connection reads from its client and writes to it by. libssl is above it (client_bio.h);
 * the event loop learns what happens from its watch.
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

/* The calls do not block: -1 with EAGAIN says that there is nothing now, or no room. */
struct transport_kind {
    const char *name;
    /* Sets what accepted connections inherit from a listening socket. NULL: nothing. */
    void (*prepare)(int listener);
    /* Takes a client from the backlog. Returns a descriptor, or -1 with errno. */
    int (*accept)(int listener, struct sockaddr_storage *peer);
    /* Copies the next bytes without taking them. Returns 0 at the end, -1 with errno. */
    ssize_t (*peek)(const struct transport *transport, void *bytes, size_t size);
    /* The same, and takes them. Fewer than there is room for: there are no more now. */
    ssize_t (*read)(const struct transport *transport, struct iovec *parts, size_t part_count);
    /* `more` is written at once, so that these bytes may wait for it. Returns how many were taken
     * over, or -1 with errno. */
    ssize_t (*write)(const struct transport *transport, const void *bytes, size_t length,
                     bool more);
    /* Tells the client that nothing more is written. Reading goes on. */
    void (*end_writing)(const struct transport *transport);
    /* The address that the client connected to; AF_UNSPEC if it is not known. */
    void (*local_address)(const struct transport *transport, struct sockaddr_storage *address);
};

struct transport {
    const struct transport_kind *kind;
    struct watch watch;
};

#endif
