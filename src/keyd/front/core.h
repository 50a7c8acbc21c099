/* The state of the event loop of immured (server.h), shared by the files of this folder. */
#ifndef KEYD_FRONT_CORE_H
#define KEYD_FRONT_CORE_H

#include "keyd/front/audit.h"
#include "keyd/front/tickets.h"
#include "keyd/keys/keyring.h"
#include "keyd/rules/account.h"
#include "keyd/sign/in_flight.h"
#include "keyd/sign/scheduler.h"
#include "loop/loop.h"
#include "loop/signal_watch.h"

struct stats {
    uint64_t sessions_total, sessions_refused, protocol_errors;
    uint64_t sign_requests, signatures, refused, busy, expired, cancelled, failed, signed_again;
    uint64_t decryptions;
    uint64_t by_driver[UINT8_MAX + 1]; /* signatures, by enum wire_backend */
};

struct server_config {
    struct rate rate;       /* of each client, over all keys */
    uint64_t stall_timeout; /* ns */
};

#define SERVER_LISTENERS 2
#define SERVER_INPUT_TIME (50 * NS_PER_US) /* per turn */

/* The number of accounts, and of those for users who are refused on connecting. */
#define SERVER_ACCOUNTS 1024
#define SERVER_STRANGERS 64

struct keyd_server {
    const struct server_config *config;
    struct keyring *keyring;
    struct scheduler *scheduler;
    const struct driver *const *prototypes; /* the drivers whose figures STATS has; ended by NULL */
    struct stats stats;
    uint64_t started_wall, started; /* ns: CLOCK_REALTIME, CLOCK_MONOTONIC */
    uint64_t worked;                /* CLOCK_THREAD_CPUTIME_ID when this turn began, ns */
    uid_t starter;                  /* the user who started immured; may use all keys */
    struct allow allow;             /* who may use keys that have no list of their own */
    struct allow door;              /* who may connect: everybody who may use any key */
    struct accounts clients, strangers;
    struct audit audit;
    struct ticket_secret tickets;
    struct ecdhe ecdhe; /* for the policies */

    struct loop loop;
    struct watch wake; /* a signer thread is done; the crew owns the descriptor */
    struct listener {
        struct watch watch;
        struct keyd_server *server;
    } listeners[SERVER_LISTENERS];
    size_t listener_count;
    struct timer accept_pause; /* runs while accepting pauses for want of descriptors */
    struct signal_watch signals;
    struct timer stop_time; /* runs from the request to stop until the server stops in any case */
    bool stopping, stop_now;

    struct list sessions;
    size_t session_count, session_max;
    struct in_flight in_flight; /* the requests of all sessions */
    struct list input;          /* accounts with sessions that have input, served in turn */
    size_t ungreeted;           /* sessions that have not sent HELLO */
    struct list unflushed;      /* sessions with replies to write at the end of this turn */
    struct list leaving;        /* sessions that have ended, with jobs that are being signed */
};

#endif
