/*
 * How a connection reads from its client and writes to it. libssl uses it through client_bio.h.
 *
 * The connection says what it wants, and the transport says when that is ready. What the transport
 * has to watch for this, a descriptor or a timer, is its own affair: only the transport knows when
 * it has bytes to give. If others watched its descriptor, one that holds bytes back would make the
 * loop spin.
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

/* What is ready; several may be announced together. If reading or writing is wanted, TRANSPORT_GONE
 * is announced, too. */
enum transport_event {
    TRANSPORT_READABLE = 1,
    TRANSPORT_WRITABLE = 2,
    TRANSPORT_ENDED = 4, /* the client writes no more; bytes before the end may be unread */
    TRANSPORT_GONE = 8   /* the client has closed both directions, or the connection failed */
};

/* The first member of each transport's own struct. */
struct transport {
    const struct transport_kind *kind;
    struct loop *loop;
    void (*ready)(struct transport *transport, unsigned events);
};

/* The calls do not block: -1 with EAGAIN means that nothing can be read or written now. */
struct transport_kind {
    const char *name;
    size_t size; /* of the transport's own struct */
    /* Sets what accepted connections inherit from a listening socket. NULL: nothing. */
    void (*prepare)(int listener);
    /* Takes a client from the backlog. Returns a descriptor, or -1 with errno. */
    int (*accept)(int listener, struct sockaddr_storage *peer);
    /* For how long a client that was just accepted has been silent (ns), so at most for how long it
     * was in the backlog. NULL: that is not known. */
    uint64_t (*silent_for)(int descriptor);
    /* Closes a client that was just accepted. It gets a reset, if the transport has such. */
    void (*refuse)(int descriptor);
    /* Takes over the descriptor. The caller has set the members of struct transport, and zeroed the
     * others. */
    void (*open)(struct transport *transport, int descriptor);
    /* The struct must not be freed before the end of the turn. */
    void (*close)(struct transport *transport);
    /* When it is closed, the client gets a reset, as by refuse(). */
    void (*reset_at_close)(struct transport *transport);
    /* Sets what ready() is called for. At first what is ready is announced only once, and so is an
     * end: the connection has to remember it until it has read everything. */
    void (*want)(struct transport *transport, bool read, bool write);
    /* From now on what is ready is announced in each turn until it has been served. Nothing is
     * wanted until the next want(). */
    void (*repeat)(struct transport *transport);
    /* From now on loop_look_between() announces it, too. */
    void (*look_between)(struct transport *transport);
    /* Copies the next bytes without consuming them. Returns 0 at the end, or -1 with errno. */
    ssize_t (*peek)(struct transport *transport, void *bytes, size_t size);
    /* Consumes the next bytes. If it returns fewer than fit, no more have arrived. */
    ssize_t (*read)(struct transport *transport, struct iovec *parts, size_t part_count);
    /* `more`: other bytes follow at once, and these may wait for them. Returns how many were
     * written, or -1 with errno. */
    ssize_t (*write)(struct transport *transport, const void *bytes, size_t length, bool more);
    /* Tells the client that nothing more will be written. Reading continues. */
    void (*end_writing)(struct transport *transport);
    /* Gets the address that the client connected to; AF_UNSPEC if it is not known. */
    void (*local_address)(struct transport *transport, struct sockaddr_storage *address);
};

#endif
