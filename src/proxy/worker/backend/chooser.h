/*
 * Which server is next, by weights and by the connections of one thread. A chooser knows servers by
 * their numbers only; its owner says which of them may be chosen, and tells of each connection.
 *
 * No choice looks at all servers: least-connections and round-robin keep a heap, random-two a tree
 * of sums of weights, and source a wheel of points that is made once.
 */
#ifndef PROXY_WORKER_BACKEND_CHOOSER_H
#define PROXY_WORKER_BACKEND_CHOOSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"
#include "proxy/config/config.h"

/* A weight of 1 in the configuration; a server that starts slowly has parts of it. */
#define WEIGHT_ONE 16
#define CHOOSER_NONE SIZE_MAX

struct chooser {
    enum balance balance;
    size_t count;
    struct chooser_server *servers;
    struct heap heap; /* of least-connections and round-robin: who is next is first */
    uint64_t turn;    /* of the last choice */
    uint64_t *sums;   /* of random-two: a binary indexed tree of weights (Fenwick, 1994) */
    uint64_t random;  /* the state of a xorshift generator */
    struct wheel_point *points; /* of source: ordered by their hashes */
    size_t point_count;
    size_t *members; /* who may be chosen, in no order */
    size_t member_count;
    uint64_t steps; /* that choices took so far; tests look at it */
};

/* `servers` are those of a backend, of which `backup` says which half this chooser is for. No
 * server may be chosen at first. Threads that have different seeds begin with different servers.
 * False: out of memory; chooser_close() has to be called all the same. */
bool chooser_open(struct chooser *chooser, enum balance balance,
                  const struct server_config *servers, size_t count, bool backup, uint64_t seed);
void chooser_close(struct chooser *chooser);

/* Sets the weight of a server, in parts of WEIGHT_ONE. 0: it may not be chosen. */
void chooser_set(struct chooser *chooser, size_t server, uint32_t weight);
/* Returns the next server; CHOOSER_NONE: none may be chosen. `source`: a hash of the client's
 * address. The choice alone changes no count. */
size_t chooser_next(struct chooser *chooser, uint64_t source);
/* A connection at the server begins, or ends. Also if the server may not be chosen now. */
void chooser_add(struct chooser *chooser, size_t server);
void chooser_remove(struct chooser *chooser, size_t server);

/* A hash that spreads well, of any bytes. */
uint64_t chooser_hash(const void *bytes, size_t length);

#endif
