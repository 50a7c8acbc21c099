/* The servers of a pool: which are chosen while some are down, paused or full, what threads share
 * of them, and who waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "proxy/worker/backend/pool.h"

#define SERVERS 1000
#define THREADS 4

struct fixture {
    struct server_config servers[SERVERS];
    char names[SERVERS][16];
    struct backend_config backend;
    struct proxy_config config;
    struct shared_servers *shared;
    struct thread {
        struct loop loop;
        struct thread_metrics metrics;
        struct pools pools;
    } threads[THREADS];
};

static struct pool *pool_of(struct fixture *fixture, unsigned thread)
{
    return &fixture->threads[thread].pools.of[0];
}

static void open_threads(struct fixture *fixture, size_t servers)
{
    fixture->backend.server_count = fixture->config.server_count = servers;
    fixture->shared = shared_servers_new(&fixture->config);
    assert_non_null(fixture->shared);
    for (unsigned i = 0; i < THREADS; i++) {
        struct thread *thread = &fixture->threads[i];
        assert_true(loop_open(&thread->loop));
        thread->loop.now = NS_PER_S;
        assert_true(pools_open(&thread->pools, &fixture->config, &thread->loop, &thread->metrics,
                               fixture->shared, i));
        fixture->shared->wake[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    }
}

static int setup(void **state)
{
    struct fixture *fixture = *state = calloc(1, sizeof *fixture);
    for (int i = 0; i < SERVERS; i++) {
        snprintf(fixture->names[i], sizeof fixture->names[i], "server-%d", i);
        fixture->servers[i] =
            (struct server_config){.address = {.text = fixture->names[i]}, .weight = 1};
    }
    fixture->backend = (struct backend_config){.name = "app",
                                               .servers = fixture->servers,
                                               .balance = BALANCE_ROUND_ROBIN,
                                               .failure_pause = NS_PER_S,
                                               .failure_pause_max = 4 * NS_PER_S,
                                               .queue = 10};
    fixture->config = (struct proxy_config){.workers = THREADS,
                                            .backends = &fixture->backend,
                                            .backend_count = 1,
                                            .servers = fixture->servers,
                                            .connect_timeout = NS_PER_S};
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned i = 0; fixture->shared != NULL && i < THREADS; i++) {
        close(fixture->shared->wake[i]);
        timer_stop(&fixture->threads[i].loop, &pool_of(fixture, i)->slow_start);
        pools_close(&fixture->threads[i].pools);
        loop_close(&fixture->threads[i].loop);
    }
    shared_servers_free(fixture->shared);
    free(fixture);
    return 0;
}

static void pass(struct fixture *fixture, uint64_t time)
{
    for (unsigned i = 0; i < THREADS; i++)
        fixture->threads[i].loop.now += time;
}

static struct candidate new_candidate(struct fixture *fixture)
{
    return (struct candidate){.began = fixture->threads[0].loop.now};
}

/* Chooses in a thread, and returns the number of the server. */
static size_t choose(struct fixture *fixture, unsigned thread, struct candidate *candidate)
{
    struct pool *pool = pool_of(fixture, thread);
    assert_int_equal(pool_choose(pool, candidate), POOL_CHOSEN);
    return (size_t)(candidate->server - pool->servers);
}

/* The same for a new connection, which ends at once. */
static size_t choose_once(struct fixture *fixture, unsigned thread)
{
    struct candidate candidate = new_candidate(fixture);
    size_t chosen = choose(fixture, thread, &candidate);
    pool_connected(pool_of(fixture, thread), &candidate);
    pool_leave(pool_of(fixture, thread), candidate.server);
    return chosen;
}

static void note_failed(struct fixture *fixture, unsigned thread, struct candidate *candidate)
{
    assert_true(pool_failed(pool_of(fixture, thread), candidate, ECONNREFUSED));
    pool_leave(pool_of(fixture, thread), candidate->server);
    candidate->tries++;
}

static void judge(struct fixture *fixture, size_t server, enum server_health health,
                  uint32_t changes)
{
    const struct server_verdict verdict = {
        .health = health, .changes = changes, .since = 1, .reason = "said so"};
    for (unsigned i = 0; i < THREADS; i++)
        pools_judge(&fixture->threads[i].pools, server, &verdict);
}

/* A thread hears what the operator has set for a server. */
static void set(struct fixture *fixture, unsigned thread, size_t server, enum server_mode mode,
                uint32_t weight, uint32_t changes)
{
    const struct server_setting setting = {.mode = mode, .weight = weight, .changes = changes};
    pools_set(&fixture->threads[thread].pools, server, &setting);
}

static enum server_state state_of(const struct fixture *fixture, size_t server)
{
    return server_state(&fixture->shared->servers[server]);
}

/* ---- up, down, paused ---- */

static void test_a_failure_in_one_thread_is_known_in_all(void **state)
{
    struct fixture *fixture = *state;
    open_threads(fixture, 2);
    struct candidate candidate = new_candidate(fixture);
    size_t failed = choose(fixture, 0, &candidate);
    note_failed(fixture, 0, &candidate);
    assert_int_equal(state_of(fixture, failed), SERVER_PAUSED);
    assert_int_equal(choose(fixture, 0, &candidate), 1 - failed);
    assert_true(candidate.last);
    pool_leave(pool_of(fixture, 0), candidate.server);
    for (unsigned i = 0; i < 4 * THREADS; i++)
        assert_int_equal(choose_once(fixture, i % THREADS), 1 - failed);
    assert_int_equal(fixture->shared->servers[failed].failed, 1);
    assert_int_equal(metric_read(&fixture->threads[0].metrics.backend_errors_total), 1);
}

static void test_a_pause_ends_with_the_trial_of_one_connection(void **state)
{
    struct fixture *fixture = *state;
    open_threads(fixture, 2);
    struct candidate first = new_candidate(fixture);
    size_t failed = choose(fixture, 0, &first);
    note_failed(fixture, 0, &first);
    pass(fixture, NS_PER_S);
    struct candidate trial = new_candidate(fixture);
    assert_int_equal(choose(fixture, 1, &trial), failed);
    assert_true(trial.trial && !trial.last);
    assert_int_equal(choose_once(fixture, 2), 1 - failed); /* nobody else tries it meanwhile */
    pool_connected(pool_of(fixture, 1), &trial);
    assert_int_equal(state_of(fixture, failed), SERVER_UP);
    pool_leave(pool_of(fixture, 1), trial.server);
    assert_int_not_equal(choose_once(fixture, 3), choose_once(fixture, 3));
}

static void test_pauses_grow_up_to_their_most(void **state)
{
    struct fixture *fixture = *state;
    static const unsigned seconds[] = {1, 2, 4, 4, 4};
    open_threads(fixture, 2);
    judge(fixture, 1, HEALTH_UP, 1);
    struct candidate candidate = new_candidate(fixture);
    while (choose(fixture, 0, &candidate) != 0)
        pool_leave(pool_of(fixture, 0), candidate.server);
    note_failed(fixture, 0, &candidate);
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        pass(fixture, seconds[i] * NS_PER_S - 1);
        assert_int_equal(choose_once(fixture, 0), 1);
        pass(fixture, 1);
        candidate = new_candidate(fixture);
        assert_int_equal(choose(fixture, 0, &candidate), 0);
        note_failed(fixture, 0, &candidate);
    }
}

static void test_a_trial_that_nobody_waits_for_is_made_again(void **state)
{
    struct fixture *fixture = *state;
    open_threads(fixture, 2);
    struct candidate candidate = new_candidate(fixture);
    size_t failed = choose(fixture, 0, &candidate);
    note_failed(fixture, 0, &candidate);
    pass(fixture, NS_PER_S);
    for (int i = 0; i < 3; i++) {
        candidate = new_candidate(fixture);
        assert_int_equal(choose(fixture, 0, &candidate), failed);
        pool_given_up(pool_of(fixture, 0), &candidate);
        pool_leave(pool_of(fixture, 0), candidate.server);
    }
}

/* One that was under way before the pause has succeeded meanwhile. */
static void test_a_trial_that_another_connection_has_settled(void **state)
{
    struct fixture *fixture = *state;
    open_threads(fixture, 1);
    struct candidate first = new_candidate(fixture), second = first;
    choose(fixture, 0, &first);
    choose(fixture, 1, &second);
    note_failed(fixture, 0, &first);
    pass(fixture, NS_PER_S);
    struct candidate trial = new_candidate(fixture);
    choose(fixture, 2, &trial);
    assert_true(trial.trial);
    pool_connected(pool_of(fixture, 1), &second);
    pool_given_up(pool_of(fixture, 2), &trial);
    pool_leave(pool_of(fixture, 1), second.server);
    pool_leave(pool_of(fixture, 2), trial.server);
    assert_int_equal(state_of(fixture, 0), SERVER_UP);
    assert_int_equal(fixture->shared->pools[0].paused, 0);
}

/* Many connections that were under way fail at the same time, which is one failure. */
static void test_failures_at_the_same_time_are_one(void **state)
{
    struct fixture *fixture = *state;
    open_threads(fixture, 1);
    struct candidate candidates[5];
    for (int i = 0; i < 5; i++) {
        candidates[i] = new_candidate(fixture);
        choose(fixture, 0, &candidates[i]);
    }
    for (int i = 0; i < 5; i++)
        note_failed(fixture, 0, &candidates[i]);
    assert_int_equal(fixture->shared->servers[0].pause, NS_PER_S);
    assert_int_equal(fixture->shared->pools[0].paused, 1);
}

static void test_what_is_short_here_is_not_the_servers_fault(void **state)
{
    struct fixture *fixture = *state;
    open_threads(fixture, 2);
    struct candidate candidate = new_candidate(fixture);
    size_t chosen = choose(fixture, 0, &candidate);
    assert_false(pool_failed(pool_of(fixture, 0), &candidate, EMFILE));
    pool_leave(pool_of(fixture, 0), candidate.server);
    assert_int_equal(state_of(fixture, chosen), SERVER_UP);
}

static void test_verdicts(void **state)
{
    struct fixture *fixture = *state;
    char reason[VERDICT_REASON_SIZE];
    open_threads(fixture, SERVERS);
    judge(fixture, 69, HEALTH_DOWN, 2);
    judge(fixture, 69, HEALTH_UP, 1); /* one that a thread hears late */
    assert_int_equal(state_of(fixture, 69), SERVER_DOWN);
    for (int i = 0; i < 2 * SERVERS; i++)
        assert_int_not_equal(choose_once(fixture, 0), 69);
    server_reason(&fixture->shared->servers[69], reason);
    assert_string_equal(reason, "said so");
    judge(fixture, 69, HEALTH_UP, 3);
    bool met = false;
    for (int i = 0; i < 2 * SERVERS; i++)
        met |= choose_once(fixture, 0) == 69;
    assert_true(met);
    judge(fixture, SERVERS, HEALTH_DOWN, 1); /* the number comes from another process */
}

static void test_a_new_worker_begins_with_what_is_known(void **state)
{
    struct fixture *fixture = *state;
    fixture->servers[0].verdict =
        (struct server_verdict){.health = HEALTH_DOWN, .changes = 7, .reason = "before"};
    fixture->servers[2].trial_at = 3 * NS_PER_S;
    fixture->servers[2].pause = 2 * NS_PER_S;
    open_threads(fixture, 3);
    assert_int_equal(state_of(fixture, 0), SERVER_DOWN);
    assert_int_equal(state_of(fixture, 2), SERVER_PAUSED);
    for (int i = 0; i < 5; i++)
        assert_int_equal(choose_once(fixture, 0), 1);
    judge(fixture, 0, HEALTH_UP, 8);
    assert_int_equal(state_of(fixture, 0), SERVER_UP);
    pass(fixture, 2 * NS_PER_S);
    struct candidate trial = new_candidate(fixture);
    assert_int_equal(choose(fixture, 0, &trial), 2);
    note_failed(fixture, 0, &trial);
    assert_int_equal(fixture->shared->servers[2].pause, 4 * NS_PER_S);
}

static void test_a_good_check_ends_a_pause(void **state)
{
    struct fixture *fixture = *state;
    open_threads(fixture, 1);
    struct candidate candidate = new_candidate(fixture);
    choose(fixture, 0, &candidate);
    note_failed(fixture, 0, &candidate);
    judge(fixture, 0, HEALTH_DOWN, 1);
    assert_int_equal(state_of(fixture, 0), SERVER_DOWN);
    judge(fixture, 0, HEALTH_UP, 2);
    assert_int_equal(state_of(fixture, 0), SERVER_UP);
    assert_int_equal(fixture->shared->pools[0].paused, 0);
}

static void test_backup_servers_are_for_when_no_other_is_up(void **state)
{
    struct fixture *fixture = *state;
    fixture->servers[1].backup = fixture->servers[2].backup = true;
    open_threads(fixture, 3);
    for (int i = 0; i < 10; i++)
        assert_int_equal(choose_once(fixture, 0), 0);
    judge(fixture, 0, HEALTH_DOWN, 1);
    assert_int_not_equal(choose_once(fixture, 0), choose_once(fixture, 0));
    assert_int_not_equal(choose_once(fixture, 1), 0);
    judge(fixture, 0, HEALTH_UP, 2);
    assert_int_equal(choose_once(fixture, 0), 0);
}

/* Each once, whatever is thought of it, except for those that fail meanwhile. */
static void test_all_are_tried_when_none_is_up(void **state)
{
    struct fixture *fixture = *state;
    bool tried[SERVERS] = {false};
    open_threads(fixture, SERVERS);
    for (size_t i = 0; i < SERVERS; i++)
        judge(fixture, i, HEALTH_DOWN, 1);
    pass(fixture, 1);
    struct candidate candidate = new_candidate(fixture);
    for (int i = 0; i < SERVERS; i++) {
        size_t chosen = choose(fixture, 0, &candidate);
        assert_false(tried[chosen]);
        assert_int_equal(candidate.last, i == SERVERS - 1);
        tried[chosen] = true;
        note_failed(fixture, 0, &candidate);
    }
    assert_int_equal(pool_choose(pool_of(fixture, 0), &candidate), POOL_NONE);
    struct candidate next = {.began = candidate.began}; /* it has begun before those failures */
    enum pool_choice choice;
    int turns = 1;
    while ((choice = pool_choose(pool_of(fixture, 1), &next)) == POOL_MORE)
        turns++;
    assert_int_equal(choice, POOL_NONE);
    assert_true(turns > 10); /* no turn looks at all of them */
}

/* A thousand servers, and threads that keep filling them: what a choice takes, with all that it has
 * to learn of other threads. */
static void test_what_a_choice_takes(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < SERVERS; i++)
        fixture->servers[i].max_connections = 1;
    open_threads(fixture, SERVERS);
    static struct candidate candidates[SERVERS];
    uint64_t begun = clock_now();
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < SERVERS; i++) {
            candidates[i] = new_candidate(fixture);
            choose(fixture, i % THREADS, &candidates[i]);
        }
        for (unsigned i = 0; i < SERVERS; i++)
            pool_leave(pool_of(fixture, i % THREADS), candidates[i].server);
    }
    print_message("%.0f ns a choice and its end\n", (double)(clock_now() - begun) / 20 / SERVERS);
}

static void test_slow_start(void **state)
{
    struct fixture *fixture = *state;
    unsigned chosen = 0;
    fixture->backend.slow_start = 16 * NS_PER_S;
    open_threads(fixture, 2);
    judge(fixture, 0, HEALTH_DOWN, 1);
    assert_int_equal(choose_once(fixture, 0), 1);
    judge(fixture, 0, HEALTH_UP, 2);
    for (int i = 0; i < 170; i++)
        chosen += choose_once(fixture, 0) == 0;
    assert_in_range(chosen, 9, 12); /* a sixteenth of the weight of the other */
    pass(fixture, 16 * NS_PER_S);
    loop_run_timers(&fixture->threads[0].loop);
    chosen = 0;
    for (int i = 0; i < 100; i++)
        chosen += choose_once(fixture, 0) == 0;
    assert_in_range(chosen, 49, 51);
}

/* ---- what the operator sets ---- */

/* In forty choices. */
static unsigned count_chosen(struct fixture *fixture, unsigned thread, size_t server)
{
    unsigned chosen = 0;
    for (int i = 0; i < 40; i++)
        chosen += choose_once(fixture, thread) == server;
    return chosen;
}

static void test_a_drained_server_is_not_chosen(void **state)
{
    struct fixture *fixture = *state;
    open_threads(fixture, 2);
    set(fixture, 0, 0, MODE_DRAINED, 0, 2);
    set(fixture, 1, 0, MODE_ENABLED, 0, 1); /* one that a thread hears late */
    assert_int_equal(state_of(fixture, 0), SERVER_DRAINED);
    for (unsigned i = 0; i < 2 * THREADS; i++)
        assert_int_equal(choose_once(fixture, i % THREADS), 1);
    set(fixture, 3, 0, MODE_DISABLED, 0, 3);
    assert_int_equal(state_of(fixture, 0), SERVER_DISABLED);
    assert_int_equal(fixture->shared->pools[0].shut, 1);
    set(fixture, 2, 0, MODE_ENABLED, 0, 4);
    assert_int_equal(state_of(fixture, 0), SERVER_UP);
    assert_int_equal(fixture->shared->pools[0].shut, 0);
    assert_in_range(count_chosen(fixture, 0, 0), 19, 21);
    set(fixture, 0, SERVERS, MODE_DRAINED, 0, 1); /* the number comes from another process */
}

/* Not when it is paused, and not when no other is up. */
static void test_a_drained_server_is_not_tried(void **state)
{
    struct fixture *fixture = *state;
    open_threads(fixture, 2);
    struct candidate candidate = new_candidate(fixture);
    size_t failed = choose(fixture, 0, &candidate);
    note_failed(fixture, 0, &candidate);
    set(fixture, 0, failed, MODE_DRAINED, 0, 1);
    pass(fixture, NS_PER_S);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(choose_once(fixture, i), 1 - failed);
    judge(fixture, 1 - failed, HEALTH_DOWN, 1);
    candidate = new_candidate(fixture);
    assert_int_equal(choose(fixture, 0, &candidate), 1 - failed);
    note_failed(fixture, 0, &candidate);
    assert_int_equal(pool_choose(pool_of(fixture, 0), &candidate), POOL_NONE);
    set(fixture, 0, 1 - failed, MODE_DISABLED, 0, 1);
    candidate = new_candidate(fixture);
    assert_int_equal(pool_choose(pool_of(fixture, 0), &candidate), POOL_SHUT);
    pass(fixture, NS_PER_S);
    set(fixture, 0, failed, MODE_ENABLED, 0, 2);
    candidate = new_candidate(fixture);
    assert_int_equal(choose(fixture, 0, &candidate), failed);
    assert_true(candidate.trial);
    pool_given_up(pool_of(fixture, 0), &candidate);
    pool_leave(pool_of(fixture, 0), candidate.server);
}

static void test_backup_servers_stand_in_for_drained_ones(void **state)
{
    struct fixture *fixture = *state;
    fixture->servers[1].backup = true;
    open_threads(fixture, 2);
    set(fixture, 0, 0, MODE_DRAINED, 0, 1);
    assert_int_equal(choose_once(fixture, 1), 1);
}

/* Each thread has its own balance, and each has to hear of it. */
static void test_a_weight_is_set_in_each_thread(void **state)
{
    struct fixture *fixture = *state;
    open_threads(fixture, 2);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(count_chosen(fixture, i, 0), 20);
    for (unsigned i = 0; i < THREADS; i++)
        set(fixture, i, 0, MODE_ENABLED, 3, 1);
    for (unsigned i = 0; i < THREADS; i++)
        assert_in_range(count_chosen(fixture, i, 0), 29, 31);
    set(fixture, 0, 0, MODE_DRAINED, 3, 2);
    assert_int_equal(choose_once(fixture, 0), 1);
    set(fixture, 0, 0, MODE_ENABLED, 3, 3);
    assert_in_range(count_chosen(fixture, 0, 0), 29, 31);
    set(fixture, 0, 0, MODE_ENABLED, 0, 4);
    assert_in_range(count_chosen(fixture, 0, 0), 19, 21);
}

static void test_a_new_worker_begins_with_what_is_set(void **state)
{
    struct fixture *fixture = *state;
    fixture->servers[0].setting = (struct server_setting){.mode = MODE_DISABLED, .changes = 7};
    fixture->servers[1].setting = (struct server_setting){.weight = 3, .changes = 7};
    open_threads(fixture, 3);
    assert_int_equal(state_of(fixture, 0), SERVER_DISABLED);
    assert_int_equal(fixture->shared->pools[0].shut, 1);
    assert_in_range(count_chosen(fixture, 0, 1), 29, 31);
    set(fixture, 0, 0, MODE_ENABLED, 256, 8);
    assert_int_equal(server_setting(&fixture->shared->servers[0]).weight, 256);
    assert_int_equal(state_of(fixture, 0), SERVER_UP);
}

/* ---- limits ---- */

static void test_a_limit_holds_for_all_threads_together(void **state)
{
    struct fixture *fixture = *state;
    fixture->servers[0].max_connections = 3;
    fixture->servers[1].max_connections = 2;
    open_threads(fixture, 2);
    struct candidate candidates[5];
    for (unsigned i = 0; i < 5; i++) {
        candidates[i] = new_candidate(fixture);
        choose(fixture, i % THREADS, &candidates[i]);
    }
    assert_int_equal(fixture->shared->servers[0].taken, 3);
    assert_int_equal(fixture->shared->servers[1].taken, 2);
    for (unsigned i = 0; i < THREADS; i++) {
        struct candidate more = new_candidate(fixture);
        assert_int_equal(pool_choose(pool_of(fixture, i), &more), POOL_FULL);
    }
    size_t freed = (size_t)(candidates[2].server - pool_of(fixture, 2)->servers);
    pool_leave(pool_of(fixture, 2), candidates[2].server);
    struct candidate next = new_candidate(fixture);
    assert_int_equal(choose(fixture, 3, &next), freed); /* another thread sees the room */
}

static void test_full_servers_do_not_bring_in_backup_servers(void **state)
{
    struct fixture *fixture = *state;
    fixture->servers[0].max_connections = 1;
    fixture->servers[1].backup = true;
    open_threads(fixture, 2);
    struct candidate first = new_candidate(fixture), second = new_candidate(fixture);
    assert_int_equal(choose(fixture, 0, &first), 0);
    assert_int_equal(pool_choose(pool_of(fixture, 1), &second), POOL_FULL);
}

static void *take_and_give(void *argument)
{
    struct shared_pool *pool = argument;
    uint64_t most = 0;
    for (int i = 0; i < 200000; i++) {
        if (!server_take(pool, 0))
            continue;
        uint64_t taken = atomic_load(&pool->servers[0].taken);
        most = taken > most ? taken : most;
        server_give(pool, 0);
    }
    return (void *)(uintptr_t)most;
}

static void test_a_limit_is_never_exceeded(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[THREADS];
    fixture->servers[0].max_connections = 2;
    open_threads(fixture, 1);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, take_and_give, &fixture->shared->pools[0]);
    for (int i = 0; i < THREADS; i++) {
        void *most;
        pthread_join(threads[i], &most);
        assert_true((uintptr_t)most <= 2); /* 0: the others were always quicker */
    }
    assert_int_equal(fixture->shared->servers[0].taken, 0);
    assert_int_equal(atomic_load(fixture->shared->pools[0].room), 1);
}

static void *fail_and_recover(void *argument)
{
    struct shared_pool *pool = argument;
    for (uint64_t now = 1; now < 100000; now++) {
        server_failed(pool, 0, false, now * NS_PER_MS);
        if (server_try(pool, 0, UINT64_MAX - 1))
            server_connected(pool, 0, now * NS_PER_MS);
    }
    return NULL;
}

static void test_the_bits_say_what_the_states_say(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[THREADS];
    open_threads(fixture, 1);
    struct shared_pool *pool = &fixture->shared->pools[0];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, fail_and_recover, pool);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    bool up = state_of(fixture, 0) == SERVER_UP;
    assert_int_equal(atomic_load(pool->up), up);
    assert_int_equal(pool->paused, !up);
}

/* ---- who waits ---- */

static bool is_woken(const struct fixture *fixture, unsigned thread)
{
    uint64_t count;
    return read(fixture->shared->wake[thread], &count, sizeof count) == sizeof count;
}

static void test_the_thread_that_waits_longest_is_woken(void **state)
{
    struct fixture *fixture = *state;
    fixture->servers[0].max_connections = 1;
    open_threads(fixture, 1);
    struct shared_pool *pool = &fixture->shared->pools[0];
    struct candidate candidate = new_candidate(fixture);
    choose(fixture, 0, &candidate);
    assert_true(queue_enter(pool) && queue_enter(pool));
    queue_note(pool, 1, 200);
    queue_note(pool, 2, 100);
    pool_leave(pool_of(fixture, 0), candidate.server);
    assert_true(is_woken(fixture, 2));
    assert_false(is_woken(fixture, 1));
    queue_note(pool, 2, UINT64_MAX);
    queue_leave(pool);
    queue_wake(pool);
    assert_true(is_woken(fixture, 1));
}

static void test_the_queue_has_a_bound_over_all_threads(void **state)
{
    struct fixture *fixture = *state;
    open_threads(fixture, 1);
    struct shared_pool *pool = &fixture->shared->pools[0];
    for (int i = 0; i < 10; i++)
        assert_true(queue_enter(pool));
    assert_false(queue_enter(pool));
    queue_leave(pool);
    assert_true(queue_enter(pool));
}

static void test_addresses_of_a_server_that_is_not_there(void **state)
{
    struct fixture *fixture = *state;
    const struct server_addresses none = {.count = 0};
    open_threads(fixture, 1);
    pools_set_addresses(&fixture->threads[0].pools, 1, &none); /* from another process */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_a_failure_in_one_thread_is_known_in_all),
        TEST(test_a_pause_ends_with_the_trial_of_one_connection),
        TEST(test_pauses_grow_up_to_their_most),
        TEST(test_a_trial_that_nobody_waits_for_is_made_again),
        TEST(test_a_trial_that_another_connection_has_settled),
        TEST(test_failures_at_the_same_time_are_one),
        TEST(test_what_is_short_here_is_not_the_servers_fault),
        TEST(test_verdicts),
        TEST(test_a_new_worker_begins_with_what_is_known),
        TEST(test_a_good_check_ends_a_pause),
        TEST(test_backup_servers_are_for_when_no_other_is_up),
        TEST(test_all_are_tried_when_none_is_up),
        TEST(test_what_a_choice_takes),
        TEST(test_slow_start),
        TEST(test_a_drained_server_is_not_chosen),
        TEST(test_a_drained_server_is_not_tried),
        TEST(test_backup_servers_stand_in_for_drained_ones),
        TEST(test_a_weight_is_set_in_each_thread),
        TEST(test_a_new_worker_begins_with_what_is_set),
        TEST(test_a_limit_holds_for_all_threads_together),
        TEST(test_full_servers_do_not_bring_in_backup_servers),
        TEST(test_a_limit_is_never_exceeded),
        TEST(test_the_bits_say_what_the_states_say),
        TEST(test_the_thread_that_waits_longest_is_woken),
        TEST(test_the_queue_has_a_bound_over_all_threads),
        TEST(test_addresses_of_a_server_that_is_not_there),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
