#include "proxy/worker/backend/pool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

/* How often a server is chosen that another thread has just filled, before all count as full. */
#define TAKES 8
/* How many servers are looked at in a turn when none is up. */
#define ASKED_IN_TURN 64
#define SLOW_START_STEPS 16

static size_t tier_of(const struct pool *pool, size_t server)
{
    return pool->config->servers[server].backup ? 1 : 0;
}

static size_t number_of(const struct pool *pool, const struct server *server)
{
    return (size_t)(server - pool->servers);
}

static struct chooser *chooser_of(struct pool *pool, size_t server)
{
    return &pool->tiers[tier_of(pool, server)];
}

/* ---- what has changed since the last choice ---- */

/* The weight that the server has now; it grows for a time after the server has come up. */
static uint32_t weight_of(struct pool *pool, size_t server)
{
    struct server_setting setting = server_setting(&pool->shared->servers[server]);
    uint32_t whole = server_weight(&pool->config->servers[server], &setting) * WEIGHT_ONE;
    uint64_t up_at = atomic_load(&pool->shared->servers[server].up_at);
    uint64_t span = pool->config->slow_start, now = pool->pools->loop->now;
    if (up_at == 0 || now >= up_at + span)
        return whole;
    uint64_t steps = now > up_at ? (now - up_at) * SLOW_START_STEPS / span : 0;
    if (!timer_is_running(&pool->slow_start))
        timer_start(pool->pools->loop, &pool->slow_start, span / SLOW_START_STEPS);
    return (uint32_t)(whole * (steps + 1) / SLOW_START_STEPS);
}

static void weigh(struct pool *pool, size_t server)
{
    if (pool->known[server / SERVERS_IN_WORD] >> (server % SERVERS_IN_WORD) & 1)
        chooser_set(chooser_of(pool, server), server, weight_of(pool, server));
}

static void grow(struct timer *timer)
{
    struct pool *pool = list_entry(timer, struct pool, slow_start);
    for (size_t i = 0; i < pool->server_count; i++)
        weigh(pool, i);
}

static void learn(struct pool *pool)
{
    for (size_t word = 0; word < pool->shared->words; word++) {
        uint64_t fit =
            atomic_load(&pool->shared->up[word]) & atomic_load(&pool->shared->room[word]);
        for (uint64_t other = fit ^ pool->known[word]; other != 0; other &= other - 1) {
            unsigned bit = (unsigned)__builtin_ctzll(other);
            size_t server = word * SERVERS_IN_WORD + bit;
            chooser_set(chooser_of(pool, server), server,
                        fit >> bit & 1 ? weight_of(pool, server) : 0);
        }
        pool->known[word] = fit;
    }
}

/* ---- choosing ---- */

static bool any_is_up(const struct pool *pool, size_t tier)
{
    for (size_t word = 0; word < pool->shared->words; word++)
        if (atomic_load(&pool->shared->up[word]) & pool->members[tier][word])
            return true;
    return false;
}

static bool another_is_fit(const struct pool *pool, size_t server)
{
    for (size_t word = 0; word < pool->shared->words; word++) {
        uint64_t fit = pool->known[word];
        if (word == server / SERVERS_IN_WORD)
            fit &= ~(UINT64_C(1) << (server % SERVERS_IN_WORD));
        if (fit != 0)
            return true;
    }
    return false;
}

/* False: it has no room. */
static bool take(struct pool *pool, size_t number, struct candidate *candidate)
{
    if (!server_take(pool->shared, number))
        return false;
    candidate->server = &pool->servers[number];
    candidate->server->connections++;
    chooser_add(chooser_of(pool, number), number);
    return true;
}

/* A server whose pause is over is tried by one connection, and only by one that has not lost time
 * with another server. Up to 64 servers are looked at. */
static bool take_for_trial(struct pool *pool, struct candidate *candidate)
{
    if (candidate->tries > 0 || atomic_load(&pool->shared->paused) == 0)
        return false;
    size_t word = pool->trial_word++ % pool->shared->words;
    uint64_t down = ~atomic_load(&pool->shared->up[word]);
    down &= pool->members[0][word] | (any_is_up(pool, 0) ? 0 : pool->members[1][word]);
    for (; down != 0; down &= down - 1) {
        size_t server = word * SERVERS_IN_WORD + (unsigned)__builtin_ctzll(down);
        if (!server_try(pool->shared, server, pool->pools->loop->now))
            continue;
        candidate->trial = take(pool, server, candidate);
        candidate->last = pool->server_count == 1;
        if (candidate->trial)
            return true;
        server_try_again(pool->shared, server, pool->pools->loop->now);
    }
    return false;
}

static bool take_by_balance(struct pool *pool, size_t tier, struct candidate *candidate)
{
    for (int i = 0; i < TAKES; i++) {
        size_t server = chooser_next(&pool->tiers[tier], candidate->source);
        if (server == CHOOSER_NONE)
            return false;
        if (take(pool, server, candidate)) {
            candidate->last = !another_is_fit(pool, server);
            return true;
        }
        learn(pool);
    }
    return false;
}

static bool has_failed_since(const struct shared_server *server, uint64_t began)
{
    return atomic_load(&server->failed_at) >= began;
}

/* No server is up. Each that the operator has not shut is tried once, unless it has failed since
 * this search began. */
static enum pool_choice take_any(struct pool *pool, struct candidate *candidate)
{
    if (candidate->tries == 0 && atomic_load(&pool->shared->shut) == pool->server_count)
        return POOL_SHUT;
    if (candidate->asked == 0)
        candidate->full = false;
    for (int i = 0; i < ASKED_IN_TURN && candidate->asked < pool->server_count; i++) {
        size_t server = pool->resort++ % pool->server_count;
        candidate->asked++;
        const struct shared_server *shared = &pool->shared->servers[server];
        if (!server_is_enabled(shared) || has_failed_since(shared, candidate->began))
            continue;
        if (take(pool, server, candidate)) {
            candidate->last = candidate->asked == pool->server_count;
            return POOL_CHOSEN;
        }
        candidate->full = true;
    }
    if (candidate->asked < pool->server_count)
        return POOL_MORE;
    if (!candidate->full)
        return POOL_NONE;
    candidate->asked = 0; /* for when there is room */
    return POOL_FULL;
}

enum pool_choice pool_choose(struct pool *pool, struct candidate *candidate)
{
    candidate->trial = false;
    if (take_for_trial(pool, candidate))
        return POOL_CHOSEN;
    learn(pool);
    for (size_t tier = 0; tier < POOL_TIERS; tier++) {
        if (take_by_balance(pool, tier, candidate))
            return POOL_CHOSEN;
        if (any_is_up(pool, tier))
            return POOL_FULL;
    }
    return take_any(pool, candidate);
}

void pool_leave(struct pool *pool, struct server *server)
{
    size_t number = number_of(pool, server);
    server->connections--;
    chooser_remove(chooser_of(pool, number), number);
    server_give(pool->shared, number);
}

/* ---- what comes of it ---- */

/* What is short here is short for any server. */
static bool is_our_own(int cause)
{
    return cause == ENOMEM || cause == ENOBUFS || cause == EMFILE || cause == ENFILE;
}

/* Each change is logged, and of other failures one a second. */
static void log_failure(const struct pool *pool, const struct server *server, int cause,
                        uint64_t pause)
{
    struct pools *pools = pool->pools;
    if (pause > 0)
        log_warning("backend \"%s\": server %s: up -> paused: %s; a connection tries it after "
                    "%" PRIu64 " ms",
                    pool->name, server->name, strerror(cause), pause / NS_PER_MS);
    else if (log_due(&pools->failure_logged, pools->loop->now))
        log_warning("backend \"%s\" (%s): %s", pool->name, server->name, strerror(cause));
}

/* The master passes it on to the next worker. */
static void tell(const struct pool *pool, const struct server *server, uint64_t pause)
{
    struct pools *pools = pool->pools;
    if (pools->paused != NULL)
        pools->paused(pools, (size_t)(server - pools->servers), pause);
}

bool pool_failed(struct pool *pool, struct candidate *candidate, int cause)
{
    size_t number = number_of(pool, candidate->server);
    bool up = server_state(&pool->shared->servers[number]) == SERVER_UP, ours = is_our_own(cause);
    uint64_t pause = 0;
    if (ours)
        pool_given_up(pool, candidate);
    else
        pause = server_failed(pool->shared, number, candidate->trial, pool->pools->loop->now);
    candidate->trial = false;
    metric_add(&pool->pools->metrics->backend_errors_total, 1);
    log_failure(pool, candidate->server, cause, up ? pause : 0);
    if (pause > 0)
        tell(pool, candidate->server, pause);
    return !ours;
}

void pool_connected(struct pool *pool, struct candidate *candidate)
{
    size_t number = number_of(pool, candidate->server);
    candidate->trial = false;
    if (!server_connected(pool->shared, number, pool->pools->loop->now))
        return;
    tell(pool, candidate->server, 0);
    if (server_state(&pool->shared->servers[number]) == SERVER_UP)
        log_info("backend \"%s\": server %s: paused -> up: a connection was made", pool->name,
                 candidate->server->name);
}

void pool_given_up(struct pool *pool, struct candidate *candidate)
{
    if (candidate->trial)
        server_try_again(pool->shared, number_of(pool, candidate->server), pool->pools->loop->now);
    candidate->trial = false;
}

void pools_judge(struct pools *pools, size_t server, const struct server_verdict *verdict)
{
    if (server >= pools->server_count)
        return;
    struct pool *pool = &pools->of[pools->config->servers[server].backend];
    server_judge(pool->shared, number_of(pool, &pools->servers[server]), verdict, pools->loop->now);
}

/* Each thread has weights of its own, so each sets them, also if another has heard before. */
void pools_set(struct pools *pools, size_t server, const struct server_setting *setting)
{
    if (server >= pools->server_count)
        return;
    struct pool *pool = &pools->of[pools->config->servers[server].backend];
    size_t number = number_of(pool, &pools->servers[server]);
    server_set(pool->shared, number, setting, pools->loop->now);
    weigh(pool, number);
}

void pools_set_addresses(struct pools *pools, size_t server,
                         const struct server_addresses *addresses)
{
    if (server < pools->server_count)
        pools->servers[server].addresses = *addresses;
}

/* ---- opening and closing ---- */

static bool open_choosers(struct pool *pool)
{
    const struct backend_config *config = pool->config;
    bool good = true;
    for (size_t tier = 0; good && tier < POOL_TIERS; tier++) {
        pool->members[tier] = calloc(pool->shared->words, sizeof(uint64_t));
        good = chooser_open(&pool->tiers[tier], config->balance, config->servers,
                            config->server_count, tier == 1, pool->pools->thread) &&
               pool->members[tier] != NULL;
    }
    for (size_t i = 0; good && i < pool->server_count; i++)
        pool->members[tier_of(pool, i)][i / SERVERS_IN_WORD] |= UINT64_C(1)
                                                                << (i % SERVERS_IN_WORD);
    return good;
}

static bool open_pool(struct pool *pool, struct pools *pools, const struct proxy_config *config,
                      size_t number)
{
    const struct backend_config *from = &config->backends[number];
    *pool = (struct pool){.pools = pools,
                          .config = from,
                          .name = from->name,
                          .servers = &pools->servers[from->servers - config->servers],
                          .server_count = from->server_count,
                          .shared = &pools->shared->pools[number],
                          .resort = pools->thread,
                          .connect_timeout = config->connect_timeout,
                          .proxy_protocol = from->proxy_protocol,
                          .proxy_tlvs = from->proxy_tlvs,
                          .proxy_client_certificate = from->proxy_client_certificate};
    list_init(&pool->queue);
    list_init(&pool->waiting);
    timer_init(&pool->slow_start, grow);
    for (size_t i = 0; i < from->server_count; i++)
        pool->servers[i] = (struct server){.name = from->servers[i].address.text,
                                           .addresses = from->servers[i].addresses};
    pool->known = calloc(pool->shared->words, sizeof *pool->known);
    return pool->known != NULL && open_choosers(pool);
}

bool pools_open(struct pools *pools, const struct proxy_config *config, struct loop *loop,
                struct thread_metrics *metrics, struct shared_servers *shared, unsigned thread)
{
    *pools = (struct pools){.config = config,
                            .loop = loop,
                            .metrics = metrics,
                            .shared = shared,
                            .thread = thread,
                            .servers = calloc(config->server_count + 1, sizeof *pools->servers),
                            .server_count = config->server_count,
                            .of = calloc(config->backend_count + 1, sizeof *pools->of)};
    list_init(&pools->waiting);
    watch_init(&pools->woken, NULL);
    timer_init(&pools->look, NULL);
    bool good = pools->servers != NULL && pools->of != NULL;
    while (good && pools->count < config->backend_count) {
        size_t number = pools->count++;
        good = open_pool(&pools->of[number], pools, config, number);
    }
    return good;
}

void pools_close(struct pools *pools)
{
    for (size_t i = 0; i < pools->count; i++) {
        struct pool *pool = &pools->of[i];
        for (size_t tier = 0; tier < POOL_TIERS; tier++) {
            chooser_close(&pool->tiers[tier]);
            free(pool->members[tier]);
        }
        free(pool->known);
    }
    free(pools->of);
    free(pools->servers);
}
