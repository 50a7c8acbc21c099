/*
 * One client's connection: its stream, its requests in flight, its replies.
 *
 * Bounds: WIRE_IN_FLIGHT_MAX requests, and the bytes that its account may hold. While more than
 * SESSION_OUTPUT_PAUSE bytes of its replies are unread, or some are and more of its account's than
 * account_reads(), no more input is taken. A client that reads nothing for the stall timeout, or
 * has not said HELLO within SESSION_GREETING, is disconnected.
 */
#ifndef KEYD_FRONT_SESSION_H
#define KEYD_FRONT_SESSION_H

#include "keyd/front/server.h"
#include "wire/frame.h"

#define SESSION_OUTPUT_PAUSE (32u << 10)
#define SESSION_GREETING (5 * NS_PER_S)
#define SESSION_FRAMES_AT_ONCE 8 /* then it is the others' turn */

struct session {
    struct watch watch; /* no descriptor: it has ended, and its last jobs are waited for */
    struct server *server;
    uint64_t number; /* no other session has it, before or after */
    struct peer peer;
    struct account *account;
    struct list node;           /* in the server's list, of those that have ended in another */
    struct list account_node;   /* in the account's list, the one silent for longest in front */
    struct list input_node;     /* in the account's list of those with input */
    struct list unflushed_node; /* in the server's list */
    struct timer greeting;      /* until HELLO is answered */
    struct timer stall;         /* while its socket is full: the client reads nothing */
    struct work freed;          /* when the last job of a session that has ended is done */
    struct wire_decoder decoder;
    struct buffer output;
    struct list jobs; /* in flight */
    size_t in_flight;
    struct queue_session queue;
    size_t held;   /* bytes that its account is charged for it */
    size_t unread; /* of these, what `output` takes */
    bool whole;    /* frames were left in the decoder */
    bool paused;   /* too many unread replies */
    bool ending;   /* an error was said: flush, then close */
};

/* Takes over the socket and what the peer owns. False: it was closed, reason logged. */
bool session_begin(struct server *server, int socket, const struct peer *peer,
                   struct account *account);
/* Drops what waits unsigned, and closes. It is freed at the end of the turn in which its last job
 * is done. */
void session_end(struct session *session);
void session_free(struct session *session);

/* Takes the frames of its turn. True: there are more. */
bool session_take_input(struct session *session);

/* Replies. Each may end the session for want of memory. */
void session_answer(struct session *session, const struct job *job);
void session_error(struct session *session, uint64_t id, enum immure_error error, const char *text);
/* An error about the stream, which ends. */
void session_refuse(struct session *session, enum immure_error error, const char *text);
/* A frame was put into `output` or not: has it flushed, or ends the session. */
void session_schedule_flush(struct session *session, bool put);

/* HELLO was answered. */
void session_greeted(struct session *session);
/* Whether there is room for so many bytes more of it. */
bool session_has_room(const struct session *session, size_t bytes);
void session_add_job(struct session *session, struct job *job);
void session_remove_job(struct session *session, struct job *job);

/* The whole process stood still for so long: that is not held against a client that is to greet. */
void session_forgive(struct session *session, uint64_t ns);

/* The server's, at the end of a turn. */
void session_flush(struct session *session);
/* It has nothing under way. */
bool session_is_idle(const struct session *session);
/* There is no room for another: it ends. */
void session_give_way(struct session *session);
/* Ends the session if it is to end and all is answered; if not, watches what it waits for. */
void session_end_or_watch(struct session *session);

#endif
