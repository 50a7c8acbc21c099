/* A client of immured that keeps a window of requests pending: an event loop with libimmure, in
 * which all requests that are due share one write. Any failure ends the program. */
#ifndef BENCH_WINDOW_H
#define BENCH_WINDOW_H

#include <stdint.h>

#include "immure/client.h"

struct window {
    struct immure_client *client;
    int socket;
    struct immure_request request;
    uint8_t spki[512]; /* of the key */
    size_t spki_length;
    unsigned due; /* requests to send in this turn; initially the whole window */
    uint64_t signatures, writes;
    uint64_t asked_at; /* CLOCK_MONOTONIC, ns: the last request */
    void (*answered)(struct window *window, uint64_t ns); /* since the last request; or NULL */
    void (*ask)(struct window *window); /* requests one signature; NULL: immure_request_submit() */
};

/* Starts on a connected socket, with the key of this name, or with the last in the list if NULL. */
void window_begin(struct window *window, int socket, const char *key, uint16_t scheme);
void window_run(struct window *window, uint64_t until);
/* Reports a reply; called by whoever has set `ask`. */
void window_signed(struct window *window, enum immure_error error);
/* The message that a server signs in TLS 1.3 (RFC 8446, section 4.4.3), with a transcript hash of
 * zeros. */
void window_message(struct immure_request *request);

void window_fail(const char *what, const char *why) __attribute__((noreturn));

#endif
