#include "proxy/worker/backend/chooser.h"

#include <stdlib.h>
#include <string.h>

#include "base/mix.h"

/* How far a server of weight 1 / WEIGHT_ONE moves in round-robin when it is chosen. */
#define STRIDE (UINT64_C(1) << 24)
/* The key of least-connections: the load above, the turn of the last choice below. */
#define TURN_BITS 28
#define LOAD_ONE 4096
/* Points on the wheel for a weight of 1, if there are not too many, and points in all. */
#define POINTS_FOR_ONE 64
#define POINTS_MAX 65536
/* How many points are tried for a client before any server will do. */
#define PROBES 16
/* How often a second server is drawn that is not the first one. */
#define DRAWS 4

struct chooser_server {
    struct heap_node node;
    uint32_t weight; /* in parts of WEIGHT_ONE; 0: it may not be chosen */
    uint32_t whole;  /* the most that it has had */
    uint32_t connections;
    uint64_t turn; /* least-connections: when it was chosen last; round-robin: its place */
    size_t member; /* its place in members[] */
};

struct wheel_point {
    uint32_t hash, server;
};

/* ---- numbers ---- */

static uint64_t hash_of(uint64_t value)
{
    return mix(value + MIX_STEP);
}

uint64_t chooser_hash(const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash_of(hash);
}

static uint64_t draw(struct chooser *chooser)
{
    chooser->random++;
    return hash_of(chooser->random);
}

/* ---- least-connections and round-robin ---- */

static bool has_heap(const struct chooser *chooser)
{
    return chooser->balance == BALANCE_LEAST_CONNECTIONS || chooser->balance == BALANCE_ROUND_ROBIN;
}

static uint64_t key_of(const struct chooser *chooser, const struct chooser_server *server)
{
    if (chooser->balance == BALANCE_ROUND_ROBIN)
        return server->turn;
    uint64_t load = ((uint64_t)server->connections + 1) * LOAD_ONE / server->weight;
    return load << TURN_BITS | (server->turn & ((UINT64_C(1) << TURN_BITS) - 1));
}

static void place(struct chooser *chooser, struct chooser_server *server)
{
    if (has_heap(chooser) && server->weight > 0)
        heap_move(&chooser->heap, &server->node, key_of(chooser, server));
}

static void enter_heap(struct chooser *chooser, struct chooser_server *server)
{
    /* A server that comes back has not saved up choices. */
    if (chooser->balance == BALANCE_ROUND_ROBIN && server->turn < chooser->turn)
        server->turn = chooser->turn;
    heap_put(&chooser->heap, &server->node, key_of(chooser, server)); /* there is room for all */
}

static size_t next_in_heap(struct chooser *chooser)
{
    struct heap_node *first = heap_first(&chooser->heap);
    struct chooser_server *server = heap_entry(first, struct chooser_server, node);
    chooser->steps++;
    if (chooser->balance == BALANCE_ROUND_ROBIN) {
        chooser->turn = server->turn;
        server->turn += STRIDE / server->weight;
    } else {
        server->turn = ++chooser->turn;
    }
    place(chooser, server);
    return (size_t)(server - chooser->servers);
}

/* ---- random-two ---- */

/* sums[i] is that of the weights of as many servers as the lowest bit of i says, up to number i,
 * counted from 1. */
static void add_weight(struct chooser *chooser, size_t server, int64_t change)
{
    for (size_t i = server + 1; i <= chooser->count; i += i & -i)
        chooser->sums[i] += (uint64_t)change;
}

static uint64_t whole_sum(const struct chooser *chooser)
{
    uint64_t sum = 0;
    for (size_t i = chooser->count; i > 0; i -= i & -i)
        sum += chooser->sums[i];
    return sum;
}

/* Returns the server in whose share of all weights `at` lies. */
static size_t find_weight(struct chooser *chooser, uint64_t at)
{
    size_t found = 0, step = 1;
    while (step * 2 <= chooser->count)
        step *= 2;
    for (; step > 0; step /= 2) {
        chooser->steps++;
        if (found + step > chooser->count || chooser->sums[found + step] > at)
            continue;
        found += step;
        at -= chooser->sums[found];
    }
    return found;
}

static size_t less_loaded(const struct chooser *chooser, size_t a, size_t b)
{
    const struct chooser_server *one = &chooser->servers[a], *other = &chooser->servers[b];
    return (uint64_t)other->connections * one->weight < (uint64_t)one->connections * other->weight
               ? b
               : a;
}

static size_t next_of_two(struct chooser *chooser)
{
    uint64_t sum = whole_sum(chooser);
    if (sum == 0)
        return CHOOSER_NONE;
    size_t first = find_weight(chooser, draw(chooser) % sum), second = first;
    for (int i = 0; i < DRAWS && second == first && chooser->member_count > 1; i++)
        second = find_weight(chooser, draw(chooser) % sum);
    return less_loaded(chooser, first, second);
}

/* ---- source ---- */

static size_t point_at(struct chooser *chooser, uint32_t hash)
{
    size_t low = 0, high = chooser->point_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        chooser->steps++;
        if (chooser->points[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low < chooser->point_count ? low : 0;
}

/* A server that starts slowly takes part of its clients. */
static bool takes(const struct chooser_server *server, uint64_t hash)
{
    return server->weight > 0 && (hash >> 32) % server->whole < server->weight;
}

static size_t next_of_source(struct chooser *chooser, uint64_t source)
{
    for (uint64_t probe = 0; probe < PROBES; probe++) {
        uint64_t hash = hash_of(source + probe);
        size_t server = chooser->points[point_at(chooser, (uint32_t)hash)].server;
        if (takes(&chooser->servers[server], hash))
            return server;
    }
    return chooser->members[source % chooser->member_count];
}

static int compare_points(const void *a, const void *b)
{
    const struct wheel_point *one = a, *other = b;
    if (one->hash != other->hash)
        return one->hash < other->hash ? -1 : 1;
    return one->server < other->server ? -1 : one->server > other->server;
}

/* Halving the points of all servers keeps those that remain where they are. */
static bool make_wheel(struct chooser *chooser, const struct server_config *servers, bool backup)
{
    uint64_t weights = 0, each = POINTS_FOR_ONE, share = 1;
    for (size_t i = 0; i < chooser->count; i++)
        weights += servers[i].backup == backup ? servers[i].weight : 0;
    while (weights * each > POINTS_MAX && each > 1)
        each /= 2;
    while (weights / share > POINTS_MAX)
        share *= 2;
    chooser->points = calloc(weights * each + chooser->count + 1, sizeof *chooser->points);
    if (chooser->points == NULL)
        return false;
    for (size_t i = 0; i < chooser->count; i++) {
        uint64_t name = chooser_hash(servers[i].address.text, strlen(servers[i].address.text));
        uint64_t points = (servers[i].weight * each + share - 1) / share;
        for (uint64_t j = 0; servers[i].backup == backup && j < points; j++)
            chooser->points[chooser->point_count++] =
                (struct wheel_point){(uint32_t)hash_of(name + j), (uint32_t)i};
    }
    qsort(chooser->points, chooser->point_count, sizeof *chooser->points, compare_points);
    return true;
}

/* ---- all of them ---- */

static void enter(struct chooser *chooser, struct chooser_server *server)
{
    server->member = chooser->member_count;
    chooser->members[chooser->member_count++] = (size_t)(server - chooser->servers);
    if (has_heap(chooser))
        enter_heap(chooser, server);
}

static void leave(struct chooser *chooser, struct chooser_server *server)
{
    size_t last = chooser->members[--chooser->member_count];
    chooser->members[server->member] = last;
    chooser->servers[last].member = server->member;
    if (has_heap(chooser))
        heap_remove(&chooser->heap, &server->node);
}

void chooser_set(struct chooser *chooser, size_t number, uint32_t weight)
{
    struct chooser_server *server = &chooser->servers[number];
    uint32_t before = server->weight;
    if (before == weight)
        return;
    if (chooser->sums != NULL)
        add_weight(chooser, number, (int64_t)weight - (int64_t)before);
    server->weight = weight;
    if (weight > server->whole)
        server->whole = weight;
    if (before == 0)
        enter(chooser, server);
    else if (weight == 0)
        leave(chooser, server);
    else
        place(chooser, server);
}

size_t chooser_next(struct chooser *chooser, uint64_t source)
{
    if (chooser->member_count == 0)
        return CHOOSER_NONE;
    if (has_heap(chooser))
        return next_in_heap(chooser);
    return chooser->balance == BALANCE_SOURCE ? next_of_source(chooser, source)
                                              : next_of_two(chooser);
}

void chooser_add(struct chooser *chooser, size_t number)
{
    chooser->servers[number].connections++;
    place(chooser, &chooser->servers[number]);
}

void chooser_remove(struct chooser *chooser, size_t number)
{
    chooser->servers[number].connections--;
    place(chooser, &chooser->servers[number]);
}

/* Later heap_put() needs no memory. */
static bool reserve_heap(struct chooser *chooser)
{
    bool good = true;
    for (size_t i = 0; i < chooser->count; i++)
        good = good && heap_put(&chooser->heap, &chooser->servers[i].node, 0);
    while (heap_first(&chooser->heap) != NULL)
        heap_remove(&chooser->heap, heap_first(&chooser->heap));
    return good;
}

bool chooser_open(struct chooser *chooser, enum balance balance,
                  const struct server_config *servers, size_t count, bool backup, uint64_t seed)
{
    *chooser = (struct chooser){.balance = balance, .count = count, .random = hash_of(seed)};
    chooser->servers = calloc(count + 1, sizeof *chooser->servers);
    chooser->members = calloc(count + 1, sizeof *chooser->members);
    if (chooser->servers == NULL || chooser->members == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        chooser->servers[i].turn = (i + seed) % count;
        chooser->servers[i].whole = servers[i].weight * WEIGHT_ONE;
    }
    chooser->turn = count;
    if (balance == BALANCE_ROUND_ROBIN)
        chooser->turn = 0;
    if (balance == BALANCE_RANDOM_TWO)
        chooser->sums = calloc(count + 1, sizeof *chooser->sums);
    return (balance != BALANCE_RANDOM_TWO || chooser->sums != NULL) &&
           (!has_heap(chooser) || reserve_heap(chooser)) &&
           (balance != BALANCE_SOURCE || make_wheel(chooser, servers, backup));
}

void chooser_close(struct chooser *chooser)
{
    heap_release(&chooser->heap);
    free(chooser->servers);
    free(chooser->members);
    free(chooser->sums);
    free(chooser->points);
}
