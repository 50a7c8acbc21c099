/*
 * One client's connection: its stream, its requests in flight, its replies.
 *
 * It is bounded by WIRE_IN_FLIGHT_MAX requests and by the bytes that its account may hold. No more
 * input is taken while SESSION_OUTPUT_PAUSE bytes of its replies are unread, or while some are and
 * account_reads() is false. A client that reads nothing for the stall timeout, or has not sent
 * HELLO within SESSION_GREETING, is disconnected.
 */
#ifndef KEYD_FRONT_SESSION_H
#define KEYD_FRONT_SESSION_H

#include "keyd/front/core.h"
#include "wire/frame.h"

#define SESSION_OUTPUT_PAUSE (32u << 10)
#define SESSION_GREETING (5 * NS_PER_S)
#define SESSION_FRAMES_AT_ONCE 8 /* then it is the others' turn */

struct session {
    struct watch watch; /* no descriptor: it has ended, and waits for its last jobs */
    struct keyd_server *server;
    uint64_t number; /* unique; never used again */
    struct peer peer;
    struct account *account;
    struct list node;         /* in the server's list of sessions, then of those that have ended */
    struct list account_node; /* in the account's list, the one silent for longest first */
    struct list input_node;   /* in the account's list of those with input */
    struct list unflushed_node; /* in the server's list */
    struct timer greeting;      /* runs until HELLO is answered */
    struct timer stall;         /* runs while the socket is full because the client does not read */
    struct work freed;          /* frees a session that has ended, after its last job */
    struct wire_decoder decoder;
    struct buffer output;
    struct list jobs; /* in flight */
    size_t in_flight;
    struct queue_session queue;
    size_t held;   /* bytes that it holds of its account's */
    size_t unread; /* the part of `held` that `output` takes */
    bool whole;    /* the decoder may have more whole frames */
    bool paused;   /* too many unread replies */
    bool ending;   /* an error was sent: flush, then close */
};

/* Takes over the socket and the peer's memory. False: both were released, reason logged. */
bool session_begin(struct keyd_server *server, int socket, const struct peer *peer,
                   struct account *account);
/* Drops the waiting jobs, and closes. The session is freed at the end of the turn in which its last
 * job is done. */
void session_end(struct session *session);
void session_free(struct session *session);

/* Asks epoll for the events that the session's state needs, and not for what is already known.
 * EPOLLHUP is always of interest: the client has gone. */
void session_rewatch(struct session *session);

/* These functions reply. Each may end the session for want of memory. */
void session_answer(struct session *session, const struct job *job);
void session_error(struct session *session, uint64_t id, enum immure_error error, const char *text);
/* Sends an error about the stream, which ends. */
void session_refuse(struct session *session, enum immure_error error, const char *text);
/* `put`: a frame was put into `output`, which is flushed at the end of the turn. False: memory was
 * short, and the session ends. */
void session_schedule_flush(struct session *session, bool put);

/* HELLO was answered. */
void session_greeted(struct session *session);
/* Whether the session may hold so many more bytes. */
bool session_has_room(const struct session *session, size_t bytes);
void session_add_job(struct session *session, struct job *job);
/* The job may only be freed then: its key may be gone. */
void session_remove_job(struct session *session, struct job *job);

/* Gives the client so much more time for HELLO, because the whole process stood still. */
void session_forgive(struct session *session, uint64_t ns);

/* The server calls this at the end of a turn. */
void session_flush(struct session *session);
/* Whether it has no request in flight and no unread reply. */
bool session_is_idle(const struct session *session);
/* Ends it to make room for another session. */
void session_give_way(struct session *session);
/* Ends the session if it is to end and everything is answered; else watches what it waits for. */
void session_end_or_watch(struct session *session);

#endif
