/* How connections are spread over servers: each balance, with weights, and what a choice costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "proxy/worker/backend/chooser.h"

#define MANY 1000

struct fixture {
    struct server_config servers[MANY];
    char names[MANY][32];
    struct chooser chooser;
    unsigned chosen[MANY];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    *state = fixture;
    for (int i = 0; fixture != NULL && i < MANY; i++) {
        snprintf(fixture->names[i], sizeof fixture->names[i], "10.0.%d.%d:80", i / 250, i % 250);
        fixture->servers[i] =
            (struct server_config){.address = {.text = fixture->names[i]}, .weight = 1};
    }
    return fixture != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    chooser_close(&fixture->chooser);
    free(fixture);
    return 0;
}

/* Opens the chooser with servers of these weights, all of which may be chosen. */
static struct chooser *open_with(struct fixture *fixture, enum balance balance, size_t count,
                                 const unsigned *weights)
{
    struct chooser *chooser = &fixture->chooser;
    for (size_t i = 0; weights != NULL && i < count; i++)
        fixture->servers[i].weight = weights[i];
    assert_true(chooser_open(chooser, balance, fixture->servers, count, false, 0));
    assert_int_equal(chooser_next(chooser, 0), CHOOSER_NONE);
    for (size_t i = 0; i < count; i++)
        chooser_set(chooser, i, fixture->servers[i].weight * WEIGHT_ONE);
    return chooser;
}

static uint64_t client(unsigned number)
{
    return chooser_hash(&number, sizeof number);
}

/* Counts which servers so many choices choose. The connections end at once. */
static void choose(struct fixture *fixture, unsigned choices)
{
    memset(fixture->chosen, 0, sizeof fixture->chosen);
    for (unsigned i = 0; i < choices; i++)
        fixture->chosen[chooser_next(&fixture->chooser, client(i))]++;
}

/* The same, and the connections stay. */
static void fill(struct fixture *fixture, unsigned choices)
{
    memset(fixture->chosen, 0, sizeof fixture->chosen);
    for (unsigned i = 0; i < choices; i++) {
        size_t server = chooser_next(&fixture->chooser, client(i));
        chooser_add(&fixture->chooser, server);
        fixture->chosen[server]++;
    }
}

static void assert_near(unsigned value, unsigned wanted, unsigned percent)
{
    assert_in_range(value, wanted - wanted * percent / 100, wanted + wanted * percent / 100);
}

/* ---- round-robin ---- */

static void test_round_robin_follows_the_weights_exactly(void **state)
{
    struct fixture *fixture = *state;
    const unsigned weights[] = {1, 2, 5};
    open_with(fixture, BALANCE_ROUND_ROBIN, 3, weights);
    choose(fixture, 8000);
    assert_in_range(fixture->chosen[0], 999, 1001);
    assert_in_range(fixture->chosen[1], 1999, 2001);
    assert_in_range(fixture->chosen[2], 4999, 5001);
}

static void test_round_robin_is_smooth(void **state)
{
    struct fixture *fixture = *state;
    struct chooser *chooser = open_with(fixture, BALANCE_ROUND_ROBIN, 4, NULL);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(chooser_next(chooser, 0), i % 4);
}

static void test_threads_begin_with_different_servers(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        for (int balance = BALANCE_LEAST_CONNECTIONS; balance <= BALANCE_ROUND_ROBIN; balance++) {
            assert_true(chooser_open(&fixture->chooser, (enum balance)balance, fixture->servers, 4,
                                     false, seed));
            for (size_t i = 0; i < 4; i++)
                chooser_set(&fixture->chooser, i, WEIGHT_ONE);
            assert_int_equal(chooser_next(&fixture->chooser, 0), (4 - seed) % 4);
            chooser_close(&fixture->chooser);
        }
    }
    fixture->chooser = (struct chooser){.count = 0};
}

/* Otherwise all connections would go to it until it has caught up. */
static void test_a_server_that_comes_back_has_saved_up_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct chooser *chooser = open_with(fixture, BALANCE_ROUND_ROBIN, 3, NULL);
    chooser_set(chooser, 1, 0);
    choose(fixture, 1000);
    assert_int_equal(fixture->chosen[1], 0);
    chooser_set(chooser, 1, WEIGHT_ONE);
    choose(fixture, 300);
    assert_in_range(fixture->chosen[1], 99, 101);
}

static void test_a_weight_that_grows(void **state)
{
    struct fixture *fixture = *state;
    struct chooser *chooser = open_with(fixture, BALANCE_ROUND_ROBIN, 2, NULL);
    chooser_set(chooser, 1, WEIGHT_ONE / 4);
    choose(fixture, 1000);
    assert_in_range(fixture->chosen[1], 199, 201);
    chooser_set(chooser, 1, WEIGHT_ONE);
    choose(fixture, 1000);
    assert_near(fixture->chosen[1], 500, 2);
}

/* ---- least-connections ---- */

static void test_least_connections_follows_the_weights(void **state)
{
    struct fixture *fixture = *state;
    const unsigned weights[] = {1, 3, 4};
    open_with(fixture, BALANCE_LEAST_CONNECTIONS, 3, weights);
    fill(fixture, 800);
    assert_in_range(fixture->chosen[0], 99, 101);
    assert_in_range(fixture->chosen[1], 298, 302);
    assert_in_range(fixture->chosen[2], 398, 402);
}

static void test_least_connections_looks_at_those_that_are_left(void **state)
{
    struct fixture *fixture = *state;
    struct chooser *chooser = open_with(fixture, BALANCE_LEAST_CONNECTIONS, 3, NULL);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(chooser_next(chooser, 0), i);
        chooser_add(chooser, i);
    }
    chooser_remove(chooser, 1);
    assert_int_equal(chooser_next(chooser, 0), 1);
    chooser_add(chooser, 1);
    chooser_remove(chooser, 1);
    chooser_remove(chooser, 2);
    assert_int_equal(chooser_next(chooser, 0), 2); /* it was chosen less recently */
}

static void test_connections_are_counted_while_a_server_may_not_be_chosen(void **state)
{
    struct fixture *fixture = *state;
    struct chooser *chooser = open_with(fixture, BALANCE_LEAST_CONNECTIONS, 2, NULL);
    chooser_set(chooser, 0, 0);
    for (int i = 0; i < 5; i++)
        chooser_add(chooser, 0);
    chooser_set(chooser, 0, WEIGHT_ONE);
    fill(fixture, 5);
    assert_int_equal(fixture->chosen[1], 5);
}

/* ---- random-two ---- */

static void test_random_two_draws_by_weight(void **state)
{
    struct fixture *fixture = *state;
    const unsigned weights[] = {1, 1, 1, 1, 1, 1, 1, 1, 4, 4};
    open_with(fixture, BALANCE_RANDOM_TWO, 10, weights);
    choose(fixture, 64000);
    for (int i = 0; i < 10; i++)
        assert_near(fixture->chosen[i], i < 8 ? 4000 : 16000, 12);
}

/* The most loaded of n servers has log log n more than its share (Mitzenmacher, 2001). */
static void test_random_two_keeps_loads_alike(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, BALANCE_RANDOM_TWO, MANY, NULL);
    fill(fixture, 100 * MANY);
    for (int i = 0; i < MANY; i++)
        assert_in_range(fixture->chosen[i], 90, 104);
}

static void test_random_two_with_few(void **state)
{
    struct fixture *fixture = *state;
    struct chooser *chooser = open_with(fixture, BALANCE_RANDOM_TWO, 3, NULL);
    chooser_set(chooser, 0, 0);
    choose(fixture, 100);
    assert_int_equal(fixture->chosen[0], 0);
    chooser_set(chooser, 2, 0);
    choose(fixture, 100);
    assert_int_equal(fixture->chosen[1], 100);
}

/* ---- source ---- */

#define CLIENTS 20000

static void test_source_follows_the_weights(void **state)
{
    struct fixture *fixture = *state;
    const unsigned weights[] = {1, 1, 2, 4};
    open_with(fixture, BALANCE_SOURCE, 4, weights);
    choose(fixture, CLIENTS);
    for (int i = 0; i < 4; i++)
        assert_near(fixture->chosen[i], weights[i] * CLIENTS / 8, 30);
}

static void remember(struct fixture *fixture, size_t *at)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        at[i] = chooser_next(&fixture->chooser, client(i));
}

static void test_source_keeps_clients_where_they_are(void **state)
{
    struct fixture *fixture = *state;
    struct chooser *chooser = open_with(fixture, BALANCE_SOURCE, 10, NULL);
    static size_t before[CLIENTS], after[CLIENTS];
    remember(fixture, before);
    remember(fixture, after);
    assert_memory_equal(before, after, sizeof before);
    chooser_set(chooser, 3, 0); /* it is down */
    remember(fixture, after);
    memset(fixture->chosen, 0, sizeof fixture->chosen);
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (before[i] == 3)
            fixture->chosen[after[i]]++;
        else
            assert_int_equal(after[i], before[i]);
    }
    assert_int_equal(fixture->chosen[3], 0);
    for (int i = 0; i < 10; i++) /* its clients are spread over all others */
        assert_true(i == 3 || fixture->chosen[i] > CLIENTS / 10 / 9 / 3);
    chooser_set(chooser, 3, WEIGHT_ONE);
    remember(fixture, after);
    assert_memory_equal(before, after, sizeof before);
}

/* The same for a server that the next configuration does not have: clients of others stay. */
static void test_source_when_a_server_is_taken_out(void **state)
{
    struct fixture *fixture = *state;
    static size_t before[CLIENTS], after[CLIENTS];
    open_with(fixture, BALANCE_SOURCE, 10, NULL);
    remember(fixture, before);
    chooser_close(&fixture->chooser);
    memmove(&fixture->servers[3], &fixture->servers[4], 6 * sizeof *fixture->servers);
    open_with(fixture, BALANCE_SOURCE, 9, NULL);
    remember(fixture, after);
    for (unsigned i = 0; i < CLIENTS; i++)
        if (before[i] != 3)
            assert_int_equal(after[i], before[i] > 3 ? before[i] - 1 : before[i]);
}

static void test_source_when_nearly_all_are_down(void **state)
{
    struct fixture *fixture = *state;
    struct chooser *chooser = open_with(fixture, BALANCE_SOURCE, MANY, NULL);
    for (size_t i = 1; i < MANY; i++)
        chooser_set(chooser, i, 0);
    choose(fixture, 100);
    assert_int_equal(fixture->chosen[0], 100);
}

static void test_source_with_a_server_that_starts_slowly(void **state)
{
    struct fixture *fixture = *state;
    struct chooser *chooser = open_with(fixture, BALANCE_SOURCE, 2, NULL);
    choose(fixture, CLIENTS);
    unsigned whole = fixture->chosen[1];
    chooser_set(chooser, 1, WEIGHT_ONE / 4);
    choose(fixture, CLIENTS);
    assert_in_range(fixture->chosen[1], whole / 4, whole / 2);
}

/* ---- backup servers, and costs ---- */

static void test_a_wheel_has_one_half_of_the_servers(void **state)
{
    struct fixture *fixture = *state;
    fixture->servers[0].backup = true;
    assert_true(chooser_open(&fixture->chooser, BALANCE_SOURCE, fixture->servers, 3, true, 0));
    chooser_set(&fixture->chooser, 0, WEIGHT_ONE);
    choose(fixture, 100);
    assert_int_equal(fixture->chosen[0], 100);
}

/* A thousand servers, and each choice looks at a few of them. */
static void test_no_choice_looks_at_all_servers(void **state)
{
    struct fixture *fixture = *state;
    for (int balance = BALANCE_LEAST_CONNECTIONS; balance <= BALANCE_RANDOM_TWO; balance++) {
        struct chooser *chooser = open_with(fixture, (enum balance)balance, MANY, NULL);
        uint64_t begun = clock_now();
        fill(fixture, 100000);
        print_message("%s: %.0f ns and %.1f steps a choice\n", balance_name(chooser->balance),
                      (double)(clock_now() - begun) / 1e5, (double)chooser->steps / 1e5);
        assert_true(chooser->steps <= UINT64_C(100000) * 64);
        chooser_close(chooser);
    }
    fixture->chooser = (struct chooser){.count = 0};
}

static void test_weights_beyond_the_points_of_a_wheel(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < MANY; i++)
        fixture->servers[i].weight = 256;
    struct chooser *chooser = open_with(fixture, BALANCE_SOURCE, MANY, NULL);
    assert_true(chooser->point_count >= MANY && chooser->point_count <= 65536 + MANY);
    choose(fixture, CLIENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_round_robin_follows_the_weights_exactly),
        TEST(test_round_robin_is_smooth),
        TEST(test_threads_begin_with_different_servers),
        TEST(test_a_server_that_comes_back_has_saved_up_nothing),
        TEST(test_a_weight_that_grows),
        TEST(test_least_connections_follows_the_weights),
        TEST(test_least_connections_looks_at_those_that_are_left),
        TEST(test_connections_are_counted_while_a_server_may_not_be_chosen),
        TEST(test_random_two_draws_by_weight),
        TEST(test_random_two_keeps_loads_alike),
        TEST(test_random_two_with_few),
        TEST(test_source_follows_the_weights),
        TEST(test_source_keeps_clients_where_they_are),
        TEST(test_source_when_a_server_is_taken_out),
        TEST(test_source_when_nearly_all_are_down),
        TEST(test_source_with_a_server_that_starts_slowly),
        TEST(test_a_wheel_has_one_half_of_the_servers),
        TEST(test_no_choice_looks_at_all_servers),
        TEST(test_weights_beyond_the_points_of_a_wheel),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
