/* What the three servers on plain epoll share: the loop, and in it the connection to immured. */
#ifndef EXAMPLES_LOOP_H
#define EXAMPLES_LOOP_H

#include <immure/client.h>
#include <immure/reference.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/* Something with a descriptor; ready() is called when epoll says so. */
struct watch {
    int descriptor; /* -1: closed, and what epoll has still to say of it is dropped */
    void (*ready)(struct watch *watch, uint32_t events);
    struct watch *next_closed;
};

struct loop {
    int epoll;
    uint64_t now; /* CLOCK_MONOTONIC, ns */
    bool ended;   /* by SIGINT or SIGTERM */
    struct watch signals, listener, immured;
    void (*accepted)(struct loop *loop, int descriptor);
    void (*closed)(struct watch *watch); /* frees what the watch is the first member of */
    struct watch *all_closed;

    struct immure_client *client;      /* signatures are asked for here */
    struct immure_reference reference; /* of the key, and of the immured that has it */
    uint8_t der[IMMURE_REFERENCE_DER_MAX];
    uint64_t connect_at; /* not before */
};

/* Reads the key reference, and listens on 127.0.0.1. Ends the program with a line if it cannot. */
void loop_open(struct loop *loop, const char *reference, const char *port);
/* Until a signal. */
void loop_run(struct loop *loop);
void loop_close(struct loop *loop);

/* Takes over the descriptor. */
void watch_open(struct loop *loop, struct watch *watch, int descriptor);
void watch_want(struct loop *loop, const struct watch *watch, uint32_t events);
/* closed() is called when this turn of the loop is over. */
void watch_close(struct loop *loop, struct watch *watch);

_Noreturn void fail(const char *what, const char *why);

#endif
