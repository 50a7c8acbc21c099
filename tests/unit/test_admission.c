/* When handshakes are held back, and which of them is next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "proxy/worker/admission/admission.h"

#define TARGET (20 * NS_PER_MS)
#define INTERVAL (100 * NS_PER_MS)
#define PATIENCE (5 * NS_PER_S)

static const struct signing_key rsa_2048 = {true, 2048}, rsa_4096 = {true, 4096},
                                p_256 = {false, 256};

/* ---- the standing delay ---- */

static void test_standing_delay(void **state)
{
    (void)state;
    struct standing standing = {.target = TARGET, .interval = INTERVAL};
    uint64_t now = NS_PER_S, late = TARGET + 1;
    for (int i = 0; i < 10; i++)
        assert_false(standing_note(&standing, late, now + (uint64_t)i * INTERVAL / 10));
    assert_true(standing_note(&standing, late, now + INTERVAL));
    /* one that did not wait shows that the queue can keep up */
    assert_false(standing_note(&standing, TARGET, now + INTERVAL));
    assert_false(standing_note(&standing, late, now + INTERVAL + 1));
    assert_false(standing_note(&standing, late, now + 2 * INTERVAL));
    assert_true(standing_note(&standing, late, now + 2 * INTERVAL + 1));
}

/* Two that are late, with nothing in between, do not make a standing delay. */
static void test_rare_delays(void **state)
{
    (void)state;
    struct standing standing = {.target = TARGET, .interval = INTERVAL};
    for (uint64_t i = 1; i < 100; i++)
        assert_false(standing_note(&standing, NS_PER_S, i * 2 * INTERVAL));
}

/* ---- signatures ---- */

static void test_costs_of_signatures(void **state)
{
    (void)state;
    struct signing signing = {.target = TARGET, .interval = INTERVAL};
    assert_true(signing_cost(&signing, rsa_4096) == 8 * signing_cost(&signing, rsa_2048));
    assert_true(signing_cost(&signing, rsa_4096) > 50 * signing_cost(&signing, p_256));
    for (int i = 0; i < 100; i++)
        signing_measured(&signing, rsa_2048, NS_PER_MS);
    assert_in_range(signing_cost(&signing, rsa_2048), NS_PER_MS - NS_PER_US, NS_PER_MS + NS_PER_US);
    signing_measured(&signing, p_256, 0); /* immured rounds to 50 us */
    assert_true(signing_cost(&signing, p_256) > 0);
    for (unsigned bits = 1; bits < 100; bits++)
        signing_measured(&signing, (struct signing_key){false, bits}, NS_PER_MS);
}

/* What may be asked for follows what is done: 100 us for each signature, and four at a time. */
static void test_window_of_signatures(void **state)
{
    (void)state;
    struct signing signing = {.target = TARGET, .interval = INTERVAL};
    const uint64_t cost = 100 * NS_PER_US;
    unsigned pending = 0, most = 0;
    for (uint64_t now = 0; now < 2 * NS_PER_S; now += cost) {
        while (signing_open(&signing)) {
            signing_asked(&signing, cost);
            pending++;
        }
        most = now > NS_PER_S && pending > most ? pending : most;
        for (int i = 0; i < 4 && pending > 0; i++, pending--)
            signing_over(&signing, cost, now);
    }
    unsigned in_target = 4 * (unsigned)(TARGET / cost);
    assert_in_range(most, in_target * 9 / 10, in_target * 11 / 10);
    /* when nothing comes back, nothing more is asked for */
    while (signing_open(&signing))
        signing_asked(&signing, cost);
    assert_int_equal(signing.asked, most);
}

/* ---- admission ---- */

struct fixture {
    struct loop loop;
    struct proxy_config config;
    struct thread_metrics *metrics;
    struct admission admission;
};

static int setup(void **state)
{
    struct fixture *fixture = *state = calloc(1, sizeof *fixture);
    fixture->metrics = calloc(1, sizeof *fixture->metrics);
    assert_true(loop_open(&fixture->loop));
    fixture->config = (struct proxy_config){.handshake_wait = TARGET,
                                            .handshake_wait_interval = INTERVAL,
                                            .handshake_patience = PATIENCE};
    fixture->admission = (struct admission){
        .config = &fixture->config, .loop = &fixture->loop, .metrics = fixture->metrics};
    return admission_open(&fixture->admission) ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    admission_close(&fixture->admission);
    loop_close(&fixture->loop);
    free(fixture->metrics);
    free(fixture);
    return 0;
}

static struct sockaddr_storage address(unsigned number)
{
    struct sockaddr_storage made = {.ss_family = AF_INET};
    ((struct sockaddr_in *)&made)->sin_addr.s_addr = htonl(0x0a000000 + number);
    return made;
}

/* A visit of this client. */
static void enter(struct fixture *fixture, struct visit *visit, unsigned client)
{
    const struct sockaddr_storage from = address(client);
    assert_true(admission_enter(&fixture->admission, visit, &from));
}

/* A second listener has no backlog. */
static void make_overload(struct fixture *fixture)
{
    struct admission *admission = &fixture->admission;
    struct standing backlog = admission_backlog(admission), other = backlog;
    for (int i = 0; i < 2; i++) {
        admission_accepted(admission, &backlog, TARGET + 1);
        admission_accepted(admission, &other, 0);
        assert_false(admission->overload);
        fixture->loop.now += INTERVAL / 2;
    }
    admission_accepted(admission, &backlog, TARGET + 1);
    assert_true(admission->overload);
}

static void hold(struct fixture *fixture, struct visit *visit, unsigned client)
{
    enter(fixture, visit, client);
    assert_true(admission_hold(&fixture->admission, visit));
}

static void test_nothing_is_held_back_without_overload(void **state)
{
    struct fixture *fixture = *state;
    struct visit visit;
    enter(fixture, &visit, 1);
    assert_false(admission_hold(&fixture->admission, &visit));
    admission_begin(&fixture->admission, &visit);
    assert_false(admission_hold_signature(&fixture->admission, &visit, rsa_4096));
    admission_leave(&fixture->admission, &visit);
    assert_false(admission_ready(&fixture->admission));
    /* however long a client has waited */
    const struct sockaddr_storage from = address(1);
    assert_false(admission_too_late(&fixture->admission, 100 * PATIENCE, &from));
    make_overload(fixture);
    assert_true(admission_too_late(&fixture->admission, PATIENCE + 1, &from));
    assert_false(admission_too_late(&fixture->admission, PATIENCE, &from));
}

static void test_each_delay_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    struct admission *admission = &fixture->admission;
    struct visit visit;
    enter(fixture, &visit, 1);
    admission_hold(admission, &visit);
    for (int i = 0; i <= 4; i++) {
        fixture->loop.now += INTERVAL / 2;
        admission_begin(admission, &visit);
    }
    assert_true(admission->overload);
    admission->overload = false;
    for (int i = 0; i <= 4; i++) {
        fixture->loop.now += INTERVAL / 2;
        admission_ask(admission, &visit, rsa_2048);
        admission_answered(admission, &visit, rsa_2048, TARGET + 1, NS_PER_MS);
    }
    assert_true(admission->overload);
    admission_leave(admission, &visit);
}

/* It is over when an interval has passed in which nothing was late. */
static void test_end_of_overload(void **state)
{
    struct fixture *fixture = *state;
    struct admission *admission = &fixture->admission;
    struct visit visit;
    make_overload(fixture);
    assert_int_equal(metric_read(&fixture->metrics->overloaded), 1);
    hold(fixture, &visit, 1);
    assert_int_equal(metric_read(&fixture->metrics->held), 1);
    fixture->loop.now += 10 * INTERVAL;
    loop_run_timers(&fixture->loop);
    assert_true(admission->overload); /* one waits */
    assert_ptr_equal(admission_next(admission), &visit);
    loop_run_timers(&fixture->loop);
    assert_true(admission->overload); /* that one was late */
    fixture->loop.now += 10 * INTERVAL;
    loop_run_timers(&fixture->loop);
    assert_false(admission->overload);
    assert_int_equal(metric_read(&fixture->metrics->overloaded), 0);
    assert_int_equal(metric_read(&fixture->metrics->held), 0);
    assert_int_equal(metric_read(&fixture->metrics->held_back_total), 1);
    admission_leave(admission, &visit);
}

static void expect_next(struct fixture *fixture, const struct visit *visit)
{
    assert_true(admission_ready(&fixture->admission));
    assert_ptr_equal(admission_next(&fixture->admission), visit);
}

static void test_those_who_have_had_least_come_first(void **state)
{
    struct fixture *fixture = *state;
    struct visit visits[4];
    make_overload(fixture);
    for (unsigned i = 0; i < 4; i++) {
        enter(fixture, &visits[i], i);
        admission_charge(&fixture->admission, &visits[i], NS_PER_MS << (3 - i));
    }
    for (unsigned i = 0; i < 4; i++)
        assert_true(admission_hold(&fixture->admission, &visits[i]));
    /* what is charged while it waits counts: the last one is now the heaviest */
    admission_charge(&fixture->admission, &visits[3], 100 * NS_PER_MS);
    expect_next(fixture, &visits[2]);
    expect_next(fixture, &visits[1]);
    expect_next(fixture, &visits[0]);
    expect_next(fixture, &visits[3]);
    assert_false(admission_ready(&fixture->admission));
}

/* A flood of one source and a few others, each of which is charged for what it gets. */
static void test_shares_are_fair(void **state)
{
    struct fixture *fixture = *state;
    struct visit flood[100], others[10];
    unsigned turn = 0, last = 0;
    make_overload(fixture);
    for (int i = 0; i < 100; i++)
        hold(fixture, &flood[i], 1);
    for (unsigned i = 0; i < 10; i++)
        hold(fixture, &others[i], 2 + i);
    for (struct visit *next; (next = admission_next(&fixture->admission)) != NULL; turn++) {
        admission_charge(&fixture->admission, next, NS_PER_MS);
        if (next >= others && next < others + 10)
            last = turn;
    }
    assert_int_equal(turn, 110);
    assert_true(last <= 11);
}

static void test_cheap_before_dear_at_equal_shares(void **state)
{
    struct fixture *fixture = *state;
    struct visit dear, cheap, other;
    make_overload(fixture);
    enter(fixture, &dear, 1);
    enter(fixture, &cheap, 2);
    hold(fixture, &other, 3);
    assert_true(admission_hold_signature(&fixture->admission, &dear, rsa_4096));
    assert_true(admission_hold_signature(&fixture->admission, &cheap, p_256));
    expect_next(fixture, &cheap);
    expect_next(fixture, &dear);
    expect_next(fixture, &other); /* it has not begun */
    /* it has come that far, and is not held back again */
    assert_false(admission_hold_signature(&fixture->admission, &dear, rsa_4096));
}

static void test_cheap_before_dear_of_one_source(void **state)
{
    struct fixture *fixture = *state;
    struct visit dear, cheap;
    make_overload(fixture);
    enter(fixture, &dear, 1);
    enter(fixture, &cheap, 1);
    assert_true(admission_hold_signature(&fixture->admission, &dear, rsa_4096));
    assert_true(admission_hold_signature(&fixture->admission, &cheap, p_256));
    expect_next(fixture, &cheap);
    expect_next(fixture, &dear);
}

/* First come, first served, until the first has waited for half of the patience. */
static void test_newest_first_when_the_oldest_may_have_gone(void **state)
{
    struct fixture *fixture = *state;
    struct visit visits[6];
    make_overload(fixture);
    for (int i = 0; i < 6; i++) {
        hold(fixture, &visits[i], 1);
        fixture->loop.now += NS_PER_MS;
    }
    expect_next(fixture, &visits[0]);
    expect_next(fixture, &visits[1]);
    fixture->loop.now += PATIENCE / 2;
    expect_next(fixture, &visits[5]);
    expect_next(fixture, &visits[4]);
    assert_true(admission_patience(&fixture->admission, &visits[2]) == visits[2].since + PATIENCE);
    admission_leave(&fixture->admission, &visits[2]);
    expect_next(fixture, &visits[3]);
}

/* The same among sources whose shares are equal: a flood that comes from everywhere. */
static void test_newest_source_first_when_others_may_have_gone(void **state)
{
    struct fixture *fixture = *state;
    struct visit visits[6];
    make_overload(fixture);
    for (unsigned i = 0; i < 6; i++) {
        hold(fixture, &visits[i], i);
        fixture->loop.now += 2 * NS_PER_MS;
    }
    expect_next(fixture, &visits[0]);
    expect_next(fixture, &visits[1]);
    fixture->loop.now += PATIENCE / 2;
    struct visit newer[2];
    for (unsigned i = 0; i < 2; i++) {
        hold(fixture, &newer[i], 10 + i);
        fixture->loop.now += 2 * NS_PER_MS;
    }
    admission_leave(&fixture->admission, &visits[3]); /* as if it were shed: it was late */
    expect_next(fixture, &newer[1]);
    expect_next(fixture, &newer[0]);
    expect_next(fixture, &visits[5]);
    expect_next(fixture, &visits[4]);
    expect_next(fixture, &visits[2]);
}

/* No more signatures are asked for than immured makes within the target. */
static void test_signatures_wait_here(void **state)
{
    struct fixture *fixture = *state;
    struct admission *admission = &fixture->admission;
    struct visit asking[64], waiting, resumed;
    unsigned asked = 0;
    make_overload(fixture);
    for (; signing_open(&admission->signing) && asked < 64; asked++) {
        enter(fixture, &asking[asked], 1);
        admission_ask(admission, &asking[asked], rsa_2048);
    }
    assert_in_range(asked, 8, 63);
    enter(fixture, &waiting, 2);
    assert_true(admission_hold_signature(admission, &waiting, rsa_2048));
    assert_false(admission_ready(admission));
    hold(fixture, &resumed, 3); /* others may begin: perhaps they need no signature */
    expect_next(fixture, &resumed);
    assert_false(admission_ready(admission));
    admission_answered(admission, &asking[0], rsa_2048, 0, NS_PER_MS);
    expect_next(fixture, &waiting);
    for (unsigned i = 1; i < asked; i++)
        admission_leave(admission, &asking[i]); /* immured is not asked any more */
    assert_int_equal(admission->signing.asked, 0);
    assert_int_equal(admission->signing.asked_cost, 0);
}

/* Of one source only a few take the first step, which costs memory, and the others wait before it.
 */
static void test_few_of_a_source_wait_for_a_signature(void **state)
{
    struct fixture *fixture = *state;
    struct admission *admission = &fixture->admission;
    struct visit asking[64], flood[50], other;
    unsigned asked = 0, begun = 0;
    make_overload(fixture);
    for (; signing_open(&admission->signing) && asked < 64; asked++) {
        enter(fixture, &asking[asked], 1);
        admission_ask(admission, &asking[asked], rsa_2048);
    }
    for (int i = 0; i < 50; i++)
        hold(fixture, &flood[i], 2);
    for (struct visit *next; (next = admission_next(admission)) != NULL; begun++)
        assert_true(admission_hold_signature(admission, next, rsa_2048));
    assert_in_range(begun, 2, 16);
    hold(fixture, &other, 3);
    expect_next(fixture, &other);
    for (int i = 0; i < 50; i++)
        admission_leave(admission, &flood[i]);
    assert_int_equal(admission->order.held, 0);
    assert_false(order_has_next(&admission->order, true));
}

static void test_exempt_networks(void **state)
{
    struct fixture *fixture = *state;
    const char *reason;
    struct network network;
    struct visit visit;
    assert_true(network_parse("10.0.0.0/24", &network, &reason));
    fixture->config.never_held_back = &network;
    fixture->config.never_held_back_count = 1;
    make_overload(fixture);
    enter(fixture, &visit, 7);
    const struct sockaddr_storage from = address(7);
    assert_false(admission_too_late(&fixture->admission, 100 * PATIENCE, &from));
    assert_false(admission_hold(&fixture->admission, &visit));
    assert_false(admission_hold_signature(&fixture->admission, &visit, rsa_4096));
    admission_charge(&fixture->admission, &visit, NS_PER_S);
    assert_null(shares_find(&fixture->admission.shares, visit.source.narrow));
    hold(fixture, &visit, 256); /* 10.0.1.0 */
    admission_leave(&fixture->admission, &visit);
}

/* Those who give up their places have had much. */
static void test_room_for_others(void **state)
{
    struct fixture *fixture = *state;
    struct visit light, heavy[2];
    make_overload(fixture);
    assert_null(admission_worst(&fixture->admission));
    enter(fixture, &heavy[0], 1);
    admission_charge(&fixture->admission, &heavy[0], NS_PER_S);
    hold(fixture, &light, 2);
    assert_null(admission_worst(&fixture->admission));
    hold(fixture, &heavy[0], 1);
    hold(fixture, &heavy[1], 1);
    assert_ptr_equal(admission_worst(&fixture->admission), &heavy[0]);
    admission_leave(&fixture->admission, &heavy[0]);
    admission_leave(&fixture->admission, &heavy[1]);
    assert_null(admission_worst(&fixture->admission));
    admission_leave(&fixture->admission, &light);
}

/* Far more sources are held back at a time than the table has places. All of them come through, and
 * no step looks at all of them. */
static void test_many_sources(void **state)
{
    enum { MANY = 30000 };
    struct fixture *fixture = *state;
    struct visit *visits = calloc(MANY, sizeof *visits);
    unsigned taken = 0;
    assert_non_null(visits);
    make_overload(fixture);
    for (unsigned i = 0; i < MANY; i++)
        hold(fixture, &visits[i], i);
    for (struct visit *next; (next = admission_next(&fixture->admission)) != NULL; taken++)
        admission_charge(&fixture->admission, next, NS_PER_MS);
    assert_int_equal(taken, MANY);
    assert_int_equal(fixture->admission.order.held, 0);
    free(visits);
}

/* All that a handshake costs here when nothing is held back: less than 2 us. The best of some
 * rounds counts, because others use the machine. */
static void test_price(void **state)
{
    enum { ROUNDS = 50, HANDSHAKES = 1000 };
    struct fixture *fixture = *state;
    struct admission *admission = &fixture->admission;
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t begun = clock_thread();
        for (unsigned i = 0; i < HANDSHAKES; i++) {
            struct visit visit;
            enter(fixture, &visit, i);
            admission_charge(admission, &visit, 10 * NS_PER_US);
            admission_hold(admission, &visit);
            admission_begin(admission, &visit);
            admission_hold_signature(admission, &visit, p_256);
            admission_charge(admission, &visit, 100 * NS_PER_US);
            admission_ask(admission, &visit, p_256);
            admission_answered(admission, &visit, p_256, 0, 50 * NS_PER_US);
            admission_charge(admission, &visit, 50 * NS_PER_US);
            admission_charge(admission, &visit, 20 * NS_PER_US);
            admission_leave(admission, &visit);
        }
        uint64_t took = (clock_thread() - begun) / HANDSHAKES;
        best = took < best ? took : best;
    }
    print_message("admission costs %u ns a handshake\n", (unsigned)best);
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(best < 2 * NS_PER_US);
#endif
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standing_delay),
        cmocka_unit_test(test_rare_delays),
        cmocka_unit_test(test_costs_of_signatures),
        cmocka_unit_test(test_window_of_signatures),
        TEST(test_nothing_is_held_back_without_overload),
        TEST(test_each_delay_is_noticed),
        TEST(test_end_of_overload),
        TEST(test_those_who_have_had_least_come_first),
        TEST(test_shares_are_fair),
        TEST(test_cheap_before_dear_at_equal_shares),
        TEST(test_cheap_before_dear_of_one_source),
        TEST(test_newest_first_when_the_oldest_may_have_gone),
        TEST(test_newest_source_first_when_others_may_have_gone),
        TEST(test_signatures_wait_here),
        TEST(test_few_of_a_source_wait_for_a_signature),
        TEST(test_exempt_networks),
        TEST(test_room_for_others),
        TEST(test_many_sources),
        TEST(test_price),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
