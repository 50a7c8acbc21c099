/*
 * What all threads of a worker know of the servers behind it: which may be used, how many
 * connections each has, and who waits for one.
 *
 * A limit of connections must hold over all threads, and a server that one thread cannot connect to
 * is not worth an attempt of each other thread. So threads share these few atomic words. They are
 * ordinary memory of the worker, so that nobody has to trust what another worker wrote. What the
 * next worker shall know goes to the master (CONTROL_PAUSED), which keeps it within bounds.
 *
 * No thread waits for another here, and none is told of a change. Each pool has a bit for each
 * server that is up, and one for each that has room; a thread compares them with what it knows
 * whenever it chooses (worker/backend/pool.c), which is a word for 64 servers. Only a thread in
 * which connections wait for room is woken, by an eventfd.
 */
#ifndef PROXY_SHARED_SERVERS_H
#define PROXY_SHARED_SERVERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/config/config.h"

#define SERVERS_IN_WORD 64

enum server_state {
    SERVER_UP,
    SERVER_DOWN,     /* the checks say so */
    SERVER_PAUSED,   /* it could not be connected to: a connection tries it after a pause */
    SERVER_DRAINED,  /* the operator has drained it, whatever else is known */
    SERVER_DISABLED, /* the same: disabled */
    SERVER_STATE_COUNT
};
const char *server_state_name(enum server_state state); /* "up" ... */

struct shared_server {
    _Atomic uint64_t taken;         /* connections now */
    _Atomic uint64_t total, failed; /* connections it was chosen for; those it could not serve */
    _Atomic uint64_t verdict;       /* of the checks: its number and its health */
    _Atomic uint64_t since;         /* when that has changed: seconds since 1970; 0: it has not */
    _Atomic uint64_t reason[VERDICT_REASON_SIZE / sizeof(uint64_t)]; /* of the verdict: a text */
    _Atomic uint64_t setting;   /* of the operator: its number, the weight and the mode */
    _Atomic uint64_t trial_at;  /* ns; 0: it is not paused; UINT64_MAX: a connection tries it */
    _Atomic uint64_t pause;     /* ns: the last one */
    _Atomic uint64_t failed_at; /* ns: the last failure; 0: there was none */
    _Atomic uint64_t up_at;     /* ns: when it came up; 0: it always was */
};

struct shared_pool {
    const struct backend_config *config;
    struct shared_servers *all;
    struct shared_server *servers; /* config->server_count of them */
    size_t words;
    _Atomic uint64_t *up, *room; /* a bit for each server */
    _Atomic size_t paused;       /* how many servers are */
    _Atomic size_t shut;         /* how many the operator has drained or disabled */
    _Atomic size_t waiting;      /* connections that wait, of all threads */
    _Atomic uint64_t *oldest;    /* for each thread: when the first of them came, ns; UINT64_MAX */
};

struct shared_servers {
    struct shared_pool *pools;
    size_t pool_count;
    struct shared_server *servers; /* in the order of config->servers */
    _Atomic uint64_t *bits;        /* those of all pools */
    _Atomic uint64_t *oldest;
    int *wake; /* for each thread: an eventfd, which belongs to its pools; -1: none yet */
    unsigned thread_count;
};

/* The configuration outlives them. NULL: out of memory. */
struct shared_servers *shared_servers_new(const struct proxy_config *config);
void shared_servers_free(struct shared_servers *servers);

/* ---- connections ---- */

/* Counts a connection at the server, unless it has as many as it may. */
bool server_take(struct shared_pool *pool, size_t server);
/* Gives back what was taken. Wakes the thread in which a connection has waited for longest. */
void server_give(struct shared_pool *pool, size_t server);

/* Whether another connection may wait, which is then counted. */
bool queue_enter(struct shared_pool *pool);
void queue_leave(struct shared_pool *pool);
/* Notes since when the first connection of a thread waits; UINT64_MAX: none does. */
void queue_note(struct shared_pool *pool, unsigned thread, uint64_t since);
/* Wakes the thread in which a connection has waited for longest, if one waits. */
void queue_wake(struct shared_pool *pool);

/* ---- what is known of a server; times in ns of CLOCK_MONOTONIC ---- */

enum server_state server_state(const struct shared_server *server);
/* The same of these. */
enum server_state server_state_of(enum server_mode mode, enum server_health health, bool paused);
/* Takes over a verdict of the checks, unless a later one is known. */
void server_judge(struct shared_pool *pool, size_t server, const struct server_verdict *verdict,
                  uint64_t now);
/* What the operator has set for it. */
struct server_setting server_setting(const struct shared_server *server);
/* Whether the operator lets it have new connections. */
bool server_is_enabled(const struct shared_server *server);
/* Takes over what the operator has set, unless a later setting is known. */
void server_set(struct shared_pool *pool, size_t server, const struct server_setting *setting,
                uint64_t now);
/* Whether the caller is to try the server, whose pause is over: nobody else does meanwhile. It
 * calls one of the three functions that follow. */
bool server_try(struct shared_pool *pool, size_t server, uint64_t now);
/* The trial came to nothing, because the client has left. */
void server_try_again(struct shared_pool *pool, size_t server, uint64_t now);
/* A connect has failed. Returns the pause that begins; 0: it has begun before. `trial`: the caller
 * has tried the server. */
uint64_t server_failed(struct shared_pool *pool, size_t server, bool trial, uint64_t now);
/* A connect has succeeded. Returns whether that ends a pause. */
bool server_connected(struct shared_pool *pool, size_t server, uint64_t now);
/* Copies the reason of the verdict. */
void server_reason(const struct shared_server *server, char reason[VERDICT_REASON_SIZE]);

#endif
