#include "proxy/shared/servers.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define TRIAL_RUNS UINT64_MAX
#define HEALTH_BITS 2
/* A setting in a word: the mode, the weight above it, and its number above both. */
#define MODE_BITS 2
#define SETTING_NUMBER_BIT 32

static uint64_t bit_of(size_t server)
{
    return UINT64_C(1) << (server % SERVERS_IN_WORD);
}

static void set_bit(_Atomic uint64_t *bits, size_t server, bool on)
{
    if (on)
        atomic_fetch_or(&bits[server / SERVERS_IN_WORD], bit_of(server));
    else
        atomic_fetch_and(&bits[server / SERVERS_IN_WORD], ~bit_of(server));
}

const char *server_state_name(enum server_state state)
{
    static const char *const names[] = {
        [SERVER_UP] = "up",           [SERVER_DOWN] = "down",         [SERVER_PAUSED] = "paused",
        [SERVER_DRAINED] = "drained", [SERVER_DISABLED] = "disabled",
    };
    return names[state];
}

/* ---- connections ---- */

/* Two threads may do this at a time. The later one sees what the other has changed. */
static void note_room(struct shared_pool *pool, size_t server)
{
    const _Atomic uint64_t *taken = &pool->servers[server].taken;
    uint64_t most = pool->config->servers[server].max_connections;
    bool room;
    do {
        room = atomic_load(taken) < most;
        set_bit(pool->room, server, room);
    } while ((atomic_load(taken) < most) != room);
}

bool server_take(struct shared_pool *pool, size_t server)
{
    struct shared_server *shared = &pool->servers[server];
    uint64_t most = pool->config->servers[server].max_connections;
    uint64_t taken = atomic_load(&shared->taken);
    do {
        if (most > 0 && taken >= most) {
            note_room(pool, server);
            return false;
        }
    } while (!atomic_compare_exchange_weak(&shared->taken, &taken, taken + 1));
    if (taken + 1 == most)
        note_room(pool, server);
    atomic_fetch_add_explicit(&shared->total, 1, memory_order_relaxed);
    return true;
}

void server_give(struct shared_pool *pool, size_t server)
{
    uint64_t most = pool->config->servers[server].max_connections;
    uint64_t taken = atomic_fetch_sub(&pool->servers[server].taken, 1);
    if (most == 0 || taken < most)
        return;
    note_room(pool, server);
    queue_wake(pool);
}

bool queue_enter(struct shared_pool *pool)
{
    size_t waiting = atomic_load(&pool->waiting);
    do {
        if (waiting >= pool->config->queue)
            return false;
    } while (!atomic_compare_exchange_weak(&pool->waiting, &waiting, waiting + 1));
    return true;
}

void queue_leave(struct shared_pool *pool)
{
    atomic_fetch_sub(&pool->waiting, 1);
}

void queue_note(struct shared_pool *pool, unsigned thread, uint64_t since)
{
    atomic_store(&pool->oldest[thread], since);
}

/* A connection that waits looks for room after it has been noted here, and who gives room looks
 * here after that, so one of the two sees the other. */
void queue_wake(struct shared_pool *pool)
{
    const uint64_t one = 1;
    uint64_t since = UINT64_MAX;
    unsigned thread = 0;
    if (atomic_load(&pool->waiting) == 0)
        return;
    for (unsigned i = 0; i < pool->all->thread_count; i++) {
        uint64_t oldest = atomic_load(&pool->oldest[i]);
        if (oldest >= since)
            continue;
        since = oldest;
        thread = i;
    }
    if (since != UINT64_MAX && write(pool->all->wake[thread], &one, sizeof one) < 0)
        return; /* its counter is full: it is going to wake up */
}

/* ---- what is known of a server ---- */

static enum server_health health_of(const struct shared_server *server)
{
    return (enum server_health)(atomic_load(&server->verdict) & ((1U << HEALTH_BITS) - 1));
}

static enum server_mode mode_in(uint64_t word)
{
    return (enum server_mode)(word & ((1U << MODE_BITS) - 1));
}

struct server_setting server_setting(const struct shared_server *server)
{
    uint64_t word = atomic_load(&server->setting);
    return (struct server_setting){.mode = mode_in(word),
                                   .weight = (uint32_t)word >> MODE_BITS,
                                   .changes = (uint32_t)(word >> SETTING_NUMBER_BIT)};
}

static uint64_t word_of(const struct server_setting *setting)
{
    return (uint64_t)setting->changes << SETTING_NUMBER_BIT | setting->weight << MODE_BITS |
           (uint64_t)setting->mode;
}

bool server_is_enabled(const struct shared_server *server)
{
    return server_setting(server).mode == MODE_ENABLED;
}

enum server_state server_state_of(enum server_mode mode, enum server_health health, bool paused)
{
    static const enum server_state shut[] = {
        [MODE_DRAINED] = SERVER_DRAINED, [MODE_DISABLED] = SERVER_DISABLED};
    if (mode != MODE_ENABLED)
        return shut[mode];
    if (health == HEALTH_DOWN)
        return SERVER_DOWN;
    return paused ? SERVER_PAUSED : SERVER_UP;
}

enum server_state server_state(const struct shared_server *server)
{
    return server_state_of(server_setting(server).mode, health_of(server),
                           atomic_load(&server->trial_at) != 0);
}

/* As note_room(). */
static void note_state(struct shared_pool *pool, size_t server)
{
    const struct shared_server *shared = &pool->servers[server];
    bool up;
    do {
        up = server_state(shared) == SERVER_UP;
        set_bit(pool->up, server, up);
    } while ((server_state(shared) == SERVER_UP) != up);
    if (up)
        queue_wake(pool);
}

/* Ends a pause, unless the server is being tried. Returns whether there was one. */
static bool end_pause(struct shared_pool *pool, struct shared_server *shared, bool trial)
{
    uint64_t at = atomic_load(&shared->trial_at);
    do {
        if (at == 0 || (at == TRIAL_RUNS && !trial))
            return false;
    } while (!atomic_compare_exchange_weak(&shared->trial_at, &at, 0));
    atomic_fetch_sub(&pool->paused, 1);
    return true;
}

static void keep_reason(struct shared_server *shared, const char *reason)
{
    uint64_t words[VERDICT_REASON_SIZE / sizeof(uint64_t)] = {0};
    memcpy(words, reason, strnlen(reason, VERDICT_REASON_SIZE - 1));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        atomic_store_explicit(&shared->reason[i], words[i], memory_order_relaxed);
}

void server_reason(const struct shared_server *server, char reason[VERDICT_REASON_SIZE])
{
    uint64_t words[VERDICT_REASON_SIZE / sizeof(uint64_t)];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        words[i] = atomic_load_explicit(&server->reason[i], memory_order_relaxed);
    memcpy(reason, words, VERDICT_REASON_SIZE);
    reason[VERDICT_REASON_SIZE - 1] = '\0';
}

/* The master tells each thread, and they hear it at different times. */
void server_judge(struct shared_pool *pool, size_t server, const struct server_verdict *verdict,
                  uint64_t now)
{
    struct shared_server *shared = &pool->servers[server];
    uint64_t next = (uint64_t)verdict->changes << HEALTH_BITS | (uint64_t)verdict->health;
    uint64_t known = atomic_load(&shared->verdict);
    do {
        if ((int32_t)(verdict->changes - (uint32_t)(known >> HEALTH_BITS)) <= 0)
            return;
    } while (!atomic_compare_exchange_weak(&shared->verdict, &known, next));
    atomic_store(&shared->since, verdict->since);
    keep_reason(shared, verdict->reason);
    if (verdict->health == HEALTH_UP) {
        end_pause(pool, shared, false);
        atomic_store(&shared->up_at, now);
    }
    note_state(pool, server);
}

/* A server that is enabled again starts slowly, as one that comes up. */
static void note_mode(struct shared_pool *pool, size_t server, enum server_mode before,
                      enum server_mode mode, uint64_t now)
{
    if ((before == MODE_ENABLED) == (mode == MODE_ENABLED))
        return;
    atomic_fetch_add(&pool->shut, mode == MODE_ENABLED ? (size_t)-1 : 1);
    if (mode == MODE_ENABLED)
        atomic_store(&pool->servers[server].up_at, now);
}

/* As server_judge(). */
void server_set(struct shared_pool *pool, size_t server, const struct server_setting *setting,
                uint64_t now)
{
    struct shared_server *shared = &pool->servers[server];
    uint64_t known = atomic_load(&shared->setting);
    do {
        if ((int32_t)(setting->changes - (uint32_t)(known >> SETTING_NUMBER_BIT)) <= 0)
            return;
    } while (!atomic_compare_exchange_weak(&shared->setting, &known, word_of(setting)));
    note_mode(pool, server, mode_in(known), setting->mode, now);
    note_state(pool, server);
}

bool server_try(struct shared_pool *pool, size_t server, uint64_t now)
{
    struct shared_server *shared = &pool->servers[server];
    uint64_t at = atomic_load(&shared->trial_at);
    return at != 0 && at <= now && health_of(shared) != HEALTH_DOWN && server_is_enabled(shared) &&
           atomic_compare_exchange_strong(&shared->trial_at, &at, TRIAL_RUNS);
}

void server_try_again(struct shared_pool *pool, size_t server, uint64_t now)
{
    uint64_t runs = TRIAL_RUNS; /* unless another connection has ended the pause meanwhile */
    atomic_compare_exchange_strong(&pool->servers[server].trial_at, &runs, now);
}

/* Pauses grow while the server fails soon after it has come up again. */
static uint64_t next_pause(const struct backend_config *config, const struct shared_server *shared,
                           uint64_t now)
{
    uint64_t last = atomic_load(&shared->pause), up_at = atomic_load(&shared->up_at);
    if (last == 0 || (atomic_load(&shared->trial_at) == 0 && now - up_at > 2 * last))
        return config->failure_pause;
    return 2 * last < config->failure_pause_max ? 2 * last : config->failure_pause_max;
}

uint64_t server_failed(struct shared_pool *pool, size_t server, bool trial, uint64_t now)
{
    struct shared_server *shared = &pool->servers[server];
    uint64_t at = atomic_load(&shared->trial_at), pause = next_pause(pool->config, shared, now);
    atomic_fetch_add_explicit(&shared->failed, 1, memory_order_relaxed);
    atomic_store(&shared->failed_at, now);
    do {
        if (at == TRIAL_RUNS ? !trial : at > now)
            return 0;
    } while (!atomic_compare_exchange_weak(&shared->trial_at, &at, now + pause));
    atomic_store(&shared->pause, pause);
    if (at == 0)
        atomic_fetch_add(&pool->paused, 1);
    note_state(pool, server);
    return pause;
}

bool server_connected(struct shared_pool *pool, size_t server, uint64_t now)
{
    struct shared_server *shared = &pool->servers[server];
    if (atomic_load_explicit(&shared->trial_at, memory_order_relaxed) == 0 ||
        !end_pause(pool, shared, true))
        return false;
    atomic_store(&shared->up_at, now);
    note_state(pool, server);
    return true;
}

/* ---- all of them ---- */

static size_t words_for(size_t servers)
{
    return (servers + SERVERS_IN_WORD - 1) / SERVERS_IN_WORD;
}

static void open_server(struct shared_pool *pool, size_t server)
{
    const struct server_config *config = &pool->config->servers[server];
    const struct server_verdict *verdict = &config->verdict;
    struct shared_server *shared = &pool->servers[server];
    atomic_store(&shared->verdict,
                 (uint64_t)verdict->changes << HEALTH_BITS | (uint64_t)verdict->health);
    atomic_store(&shared->since, verdict->since);
    keep_reason(shared, verdict->reason);
    atomic_store(&shared->setting, word_of(&config->setting));
    atomic_store(&shared->trial_at, config->trial_at);
    atomic_store(&shared->pause, config->pause);
    if (config->trial_at != 0)
        atomic_fetch_add(&pool->paused, 1);
    if (config->setting.mode != MODE_ENABLED)
        atomic_fetch_add(&pool->shut, 1);
    set_bit(pool->room, server, true);
    set_bit(pool->up, server, server_state(shared) == SERVER_UP);
}

static void open_pools(struct shared_servers *servers, const struct proxy_config *config)
{
    _Atomic uint64_t *bits = servers->bits;
    for (size_t i = 0; i < config->backend_count; i++) {
        const struct backend_config *backend = &config->backends[i];
        struct shared_pool *pool = &servers->pools[i];
        pool->config = backend;
        pool->all = servers;
        pool->servers = &servers->servers[backend->servers - config->servers];
        pool->words = words_for(backend->server_count);
        pool->up = bits;
        pool->room = bits + pool->words;
        pool->oldest = servers->oldest + i * servers->thread_count;
        bits += 2 * pool->words;
        for (size_t j = 0; j < backend->server_count; j++)
            open_server(pool, j);
    }
    servers->pool_count = config->backend_count;
}

struct shared_servers *shared_servers_new(const struct proxy_config *config)
{
    struct shared_servers *servers = calloc(1, sizeof *servers);
    size_t words = 0, threads = config->workers;
    if (servers == NULL)
        return NULL;
    for (size_t i = 0; i < config->backend_count; i++)
        words += 2 * words_for(config->backends[i].server_count);
    servers->thread_count = config->workers;
    servers->pools = calloc(config->backend_count + 1, sizeof *servers->pools);
    servers->servers = calloc(config->server_count + 1, sizeof *servers->servers);
    servers->bits = calloc(words + 1, sizeof *servers->bits);
    servers->oldest = calloc(config->backend_count * threads + 1, sizeof *servers->oldest);
    servers->wake = calloc(threads + 1, sizeof *servers->wake);
    if (servers->pools == NULL || servers->servers == NULL || servers->bits == NULL ||
        servers->oldest == NULL || servers->wake == NULL) {
        shared_servers_free(servers);
        return NULL;
    }
    for (size_t i = 0; i < config->backend_count * threads; i++)
        atomic_store(&servers->oldest[i], UINT64_MAX);
    memset(servers->wake, -1, threads * sizeof *servers->wake);
    open_pools(servers, config);
    return servers;
}

void shared_servers_free(struct shared_servers *servers)
{
    if (servers == NULL)
        return;
    free(servers->pools);
    free(servers->servers);
    free(servers->bits);
    free(servers->oldest);
    free(servers->wake);
    free(servers);
}
