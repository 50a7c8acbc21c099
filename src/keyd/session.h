/*
 * One client: its stream, its requests in flight, its replies.
 *
 * Bounds: WIRE_IN_FLIGHT_MAX requests; while more than SESSION_OUTPUT_PAUSE bytes of replies are
 * unread no more input is taken, so that what can still be added is what is in flight; a client
 * that reads nothing for the stall timeout is disconnected.
 */
#ifndef KEYD_SESSION_H
#define KEYD_SESSION_H

#include "keyd/server.h"
#include "wire/frame.h"

#define SESSION_OUTPUT_PAUSE (256u << 10)
#define SESSION_BUCKETS 64

struct session {
    struct source source; /* first: epoll hands it out */
    struct server *server;
    int socket; /* -1: dead */
    struct peer peer;
    struct account *account; /* of all the peer's sessions */
    struct list node;
    struct list unflushed_node, blocked_node;
    struct wire_decoder decoder;
    struct buffer output;
    struct list jobs[SESSION_BUCKETS]; /* in flight, by request id */
    struct flow flows[KINDS_MAX];      /* in the queue's lines */
    size_t in_flight;
    uint32_t watched; /* epoll events */
    uint64_t give_up; /* while blocked: when the client will have stalled for too long; ns */
    bool paused;      /* too many unread replies */
    bool ending;      /* an error was said: flush, then close */
};

/* Takes over the socket and what the peer owns. False: it was closed, reason logged. */
bool session_begin(struct server *server, int socket, const struct peer *peer);
/* Drops what waits unsigned, closes, and frees at the end of the turn. */
void session_end(struct session *session);
void session_free(struct session *session);

/* Replies. Each may end the session for want of memory. */
void session_answer(struct session *session, const struct job *job);
void session_error(struct session *session, uint64_t id, enum immure_error error, const char *text);
/* An error about the stream, which ends. */
void session_refuse(struct session *session, enum immure_error error, const char *text);
/* A frame was put into `output` or not: has it flushed, or ends the session. */
void session_replied(struct session *session, bool put);

void session_add_job(struct session *session, struct job *job);
void session_remove_job(struct session *session, struct job *job);
/* NULL: no request of this id is in flight. */
struct job *session_find_job(struct session *session, uint64_t id);

/* The server's, at the end of a turn. */
void session_flush(struct session *session);
void session_stalled(struct session *session);
/* No more input is taken; ends once all is answered. */
void session_drain(struct session *session);

#endif
