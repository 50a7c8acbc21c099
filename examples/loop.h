/* The event loop of the three epoll servers, with the connection to immured. */
#ifndef EXAMPLES_LOOP_H
#define EXAMPLES_LOOP_H

#include <immure/client.h>
#include <immure/reference.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/* A descriptor to watch; ready() is called for epoll's events. */
struct watch {
    int descriptor; /* -1: closed, and remaining events are dropped */
    void (*ready)(struct watch *watch, uint32_t events);
    struct watch *next_closed;
};

struct loop {
    int epoll;
    uint64_t now; /* CLOCK_MONOTONIC, ns */
    bool ended;   /* SIGINT or SIGTERM has arrived */
    struct watch signals, listener, immured;
    void (*accepted)(struct loop *loop, int descriptor);
    void (*closed)(struct watch *watch); /* frees the struct whose first member is the watch */
    struct watch *all_closed;

    struct immure_client *client;      /* signs for all connections */
    struct immure_reference reference; /* names the key and its immured */
    uint8_t der[IMMURE_REFERENCE_DER_MAX];
    uint64_t connect_at; /* do not reconnect earlier */
};

/* Reads the key reference, and listens on 127.0.0.1. Exits with an error message if it cannot. */
void loop_open(struct loop *loop, const char *reference, const char *port);
/* Runs until a signal arrives. */
void loop_run(struct loop *loop);
void loop_close(struct loop *loop);

/* Takes ownership of the descriptor. */
void watch_open(struct loop *loop, struct watch *watch, int descriptor);
void watch_want(struct loop *loop, const struct watch *watch, uint32_t events);
/* closed() is called at the end of this turn of the loop. */
void watch_close(struct loop *loop, struct watch *watch);

_Noreturn void fail(const char *what, const char *why);

#endif
