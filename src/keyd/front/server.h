/*
 * What the event loop's one thread does. Clients come from listening sockets or over a connected
 * one; signals arrive as events.
 *
 * A turn takes all events, then input, then what is signed; then it writes the replies of every
 * session at once, and ends the sessions that do not read or do not greet. Each part has its
 * bound, so that no turn is long because of what somebody sent. Input is taken for
 * SERVER_INPUT_TIME: account after account, of each one session, of that SESSION_FRAMES_AT_ONCE
 * frames. What is left waits for the next turn, behind the others.
 */
#ifndef KEYD_FRONT_SERVER_H
#define KEYD_FRONT_SERVER_H

#include "keyd/front/audit.h"
#include "keyd/front/tickets.h"
#include "keyd/keys/keyring.h"
#include "keyd/rules/account.h"
#include "keyd/sign/in_flight.h"
#include "keyd/sign/scheduler.h"
#include "loop/loop.h"
#include "loop/signal_watch.h"

struct session;

struct stats {
    uint64_t sessions_total, sessions_refused, protocol_errors;
    uint64_t sign_requests, signatures, refused, busy, expired, cancelled, failed, signed_again;
    uint64_t decryptions;
    uint64_t by_driver[UINT8_MAX + 1]; /* signatures, by enum wire_backend */
};

struct server_config {
    struct rate rate;       /* of each client, with all keys */
    uint64_t stall_timeout; /* ns */
};

#define SERVER_LISTENERS 2
#define SERVER_INPUT_TIME (50 * NS_PER_US) /* a turn */

/* Accounts; of those who are refused at the door, fewer. */
#define SERVER_ACCOUNTS 1024
#define SERVER_STRANGERS 64

struct server {
    const struct server_config *config;
    const struct keyring *keyring;
    struct scheduler *scheduler;
    const struct driver *const *prototypes; /* whose figures are told; ended by NULL */
    struct stats stats;
    uint64_t started_wall, started; /* ns: CLOCK_REALTIME, CLOCK_MONOTONIC */
    uint64_t worked;                /* CLOCK_THREAD_CPUTIME_ID when this turn began, ns */
    uid_t starter;                  /* who started immured may use it */
    struct allow allow;             /* as may these */
    struct allow door;              /* whoever may use any key */
    struct accounts clients, strangers;
    struct audit audit;
    struct tickets tickets;
    struct ecdhe ecdhe; /* what the policies look at public values with */

    struct loop loop;
    struct watch wake; /* a signer thread is done; the descriptor is the crew's */
    struct listener {
        struct watch watch;
        struct server *server;
    } listeners[SERVER_LISTENERS];
    size_t listener_count;
    struct timer accept_pause; /* while accepting pauses, for want of descriptors */
    struct signal_watch signals;
    struct timer stop_time; /* once somebody has asked to stop, until it stops in any case */
    bool stopping, stop_now;

    struct list sessions;
    size_t session_count, session_max;
    struct in_flight in_flight; /* the requests of all sessions */
    struct list input;          /* accounts with sessions that have input, by turns */
    size_t ungreeted;           /* sessions without HELLO */
    struct list unflushed;      /* sessions with replies to write at the end of this turn */
    struct list leaving;        /* that have ended, with jobs that are being signed */
};

/* Sets up all but clients. Blocks the signals that are taken as data: call it before threads start.
 * `supervised`: SIGINT is the supervisor's affair. False: reason logged. */
bool server_init(struct server *server, const struct server_config *config,
                 const struct keyring *keyring, struct scheduler *scheduler, uid_t starter,
                 bool supervised);
/* Takes over a listening socket, or a connected one. False: reason logged. */
bool server_listen(struct server *server, int socket);
bool server_add_session(struct server *server, int socket);
/* Until it is stopped, or there is no listener and the last session has ended. Returns whether
 * every accepted request was answered. */
bool server_run(struct server *server);
void server_destroy(struct server *server);

bool server_stopping(const struct server *server);
/* Whether the peer may use this key. */
bool server_allows(const struct server *server, const struct peer *peer, const struct key *key);
/* The session, of which all is known but its frames, is to have a turn. */
void server_add_input(struct server *server, struct session *session);
/* The account has fewer unread replies: its input may have waited for that. */
void server_resume_input(struct server *server, struct account *account);
/* A descriptor is free again: accepting goes on if it has paused. */
void server_resume_accepting(struct server *server);

#endif
