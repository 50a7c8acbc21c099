/* What waits to be signed: order, shares, turns, bounds, cancelling, deadlines, holding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keyd/queue.h"

#define CLIENTS 3
#define AGE NS_PER_S
#define SIGNERS 2

enum { P256, P384, RSA2048, RSA4096, KINDS };

static const struct backend lanes = {.name = "lanes", .lanes = true};
static const struct backend alone = {.name = "alone"};

static struct kinds kinds;
static const struct key keys[KINDS] = {{.kind = &kinds.kinds[P256]},
                                       {.kind = &kinds.kinds[P384]},
                                       {.kind = &kinds.kinds[RSA2048]},
                                       {.kind = &kinds.kinds[RSA4096]}};

struct fixture {
    struct queue queue;
    struct flow flows[CLIENTS][KINDS];
    struct job *batch[BACKEND_BATCH_MAX];
    struct list late;
    uint64_t now;
};

static void measure(size_t index, enum cost cost, uint64_t single_ns)
{
    kinds.kinds[index] = (struct kind){
        .index = index, .cost = cost, .single = &alone, .single_width = 1, .single_ns = single_ns};
}

/* Eight at once take as long as three one by one. */
static void make_lanes(size_t index)
{
    struct kind *kind = &kinds.kinds[index];
    kind->batch = &lanes;
    kind->width = kind->enough = 8;
    kind->threshold = 3;
    kind->batch_ns = 3 * kind->single_ns;
}

static void begin(struct fixture *fixture, uint64_t hold)
{
    queue_init(&fixture->queue, &kinds, AGE, SIGNERS, hold);
    list_init(&fixture->late);
    fixture->now = NS_PER_S;
    for (size_t client = 0; client < CLIENTS; client++)
        for (size_t kind = 0; kind < KINDS; kind++)
            flow_init(&fixture->flows[client][kind]);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    kinds.count = KINDS;
    measure(P256, COST_CHEAP, 20 * NS_PER_US);
    measure(P384, COST_CHEAP, 800 * NS_PER_US);
    measure(RSA2048, COST_MEDIUM, 600 * NS_PER_US);
    measure(RSA4096, COST_HEAVY, 4 * NS_PER_MS);
    begin(&fixture, 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    queue_destroy(&fixture->queue);
    assert_int_equal(fixture->queue.jobs, 0);
    assert_int_equal(fixture->queue.bytes, 0);
    assert_int_equal(fixture->queue.work, 0);
    assert_int_equal(fixture->queue.flows, 0);
    return 0;
}

static struct job *submit_message(struct fixture *fixture, size_t client, size_t kind,
                                  size_t length)
{
    static const uint8_t message[WIRE_MESSAGE_MAX];
    struct job *job = job_new(&keys[kind], wire_schemes, message, length);
    assert_non_null(job);
    job->id = client;
    if (queue_submit(&fixture->queue, job, &fixture->flows[client][kind], fixture->now))
        return job;
    job_free(job);
    return NULL;
}

static struct job *submit(struct fixture *fixture, size_t client, size_t kind)
{
    return submit_message(fixture, client, kind, 1);
}

static size_t take_classes(struct fixture *fixture, enum cost from, enum cost to)
{
    struct line *line = queue_next(&fixture->queue, from, to, fixture->now);
    return line != NULL
               ? queue_take(&fixture->queue, line, fixture->now, fixture->batch, &fixture->late)
               : 0;
}

static size_t take(struct fixture *fixture)
{
    return take_classes(fixture, COST_CHEAP, COST_HEAVY);
}

static const struct kind *finish(struct fixture *fixture, size_t count, uint64_t ns)
{
    const struct kind *kind = fixture->batch[0]->key->kind;
    queue_charge(&fixture->queue, kind, ns);
    for (size_t i = 0; i < count; i++)
        job_free(fixture->batch[i]);
    return kind;
}

static size_t collect_late(struct fixture *fixture, enum immure_error error)
{
    size_t count = 0;
    for (struct list *node; (node = list_take(&fixture->late)) != NULL; count++) {
        struct job *job = list_entry(node, struct job, queue_node);
        assert_int_equal(job->error, error);
        job_free(job);
    }
    return count;
}

static void first_come_first_served(void **state)
{
    struct fixture *fixture = *state;
    struct job *jobs[3];
    for (size_t i = 0; i < 3; i++)
        jobs[i] = submit(fixture, 0, P256);
    fixture->now += 5;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(take(fixture), 1);
        assert_ptr_equal(fixture->batch[0], jobs[i]);
        assert_int_equal(jobs[i]->queue_ns, 5);
        finish(fixture, 1, 20000);
    }
    assert_int_equal(take(fixture), 0);
}

static void a_batch_is_what_waits_of_one_kind_up_to_the_width(void **state)
{
    struct fixture *fixture = *state;
    make_lanes(P256);
    make_lanes(P384);
    for (size_t i = 0; i < 12; i++) {
        submit(fixture, i % CLIENTS, P256);
        submit(fixture, 0, P384);
    }
    static const struct {
        size_t count, kind;
    } expected[] = {{8, P256}, {8, P384}, {4, P256}, {4, P384}};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(take(fixture), expected[i].count);
        for (size_t j = 0; j < expected[i].count; j++)
            assert_ptr_equal(fixture->batch[j]->key, &keys[expected[i].kind]);
        finish(fixture, expected[i].count, 1000);
    }
}

static void a_little_more_than_a_step_is_taken_in_two(void **state)
{
    struct fixture *fixture = *state;
    make_lanes(RSA2048);
    kinds.kinds[RSA2048].step = 4;
    kinds.kinds[RSA2048].whole = 6;
    static const struct {
        size_t waiting, taken[4]; /* ended by 0 */
    } cases[] = {{4, {4}}, {5, {4, 1}}, {6, {6}}, {8, {8}}, {13, {8, 4, 1}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t job = 0; job < cases[i].waiting; job++)
            submit(fixture, 0, RSA2048);
        for (size_t part = 0; cases[i].taken[part] > 0; part++) {
            assert_int_equal(take(fixture), cases[i].taken[part]);
            finish(fixture, cases[i].taken[part], 1);
        }
        assert_int_equal(fixture->queue.jobs, 0);
    }
}

static void too_few_for_a_batch_go_one_by_one(void **state)
{
    struct fixture *fixture = *state;
    make_lanes(RSA2048);
    submit(fixture, 0, RSA2048);
    submit(fixture, 1, RSA2048);
    assert_int_equal(take(fixture), 1);
    finish(fixture, 1, 600000);
    submit(fixture, 0, RSA2048);
    submit(fixture, 0, RSA2048);
    assert_int_equal(take(fixture), 3);
    finish(fixture, 3, 1800000);
}

static void clients_are_served_in_turn(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 100; i++)
        submit(fixture, 0, RSA2048);
    submit(fixture, 1, RSA2048);
    submit(fixture, 2, RSA2048);
    size_t order[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(take(fixture), 1);
        order[i] = fixture->batch[0]->id;
        finish(fixture, 1, 600000);
    }
    assert_memory_equal(order, ((const size_t[]){0, 1, 2, 0}), sizeof order);
}

static void who_asks_for_one_is_found_beside_a_flood(void **state)
{
    struct fixture *fixture = *state;
    struct queue *queue = &fixture->queue;
    struct job *one = submit(fixture, 1, RSA2048);
    for (size_t i = 0; i < QUEUE_FLOOD - 1; i++)
        submit(fixture, 0, RSA2048);
    assert_null(queue_take_beside_flood(queue, COST_MEDIUM, COST_HEAVY, fixture->now));
    submit(fixture, 0, RSA2048);
    assert_null(queue_take_beside_flood(queue, COST_HEAVY, COST_HEAVY, fixture->now));
    fixture->batch[0] = queue_take_beside_flood(queue, COST_MEDIUM, COST_HEAVY, fixture->now);
    assert_ptr_equal(fixture->batch[0], one);
    finish(fixture, 1, 600000);
    assert_null(queue_take_beside_flood(queue, COST_MEDIUM, COST_HEAVY, fixture->now));
    /* the flood has ebbed */
    submit(fixture, 1, RSA2048);
    assert_int_equal(take(fixture), 1);
    assert_int_equal(fixture->batch[0]->id, 0);
    finish(fixture, 1, 600000);
    assert_null(queue_take_beside_flood(queue, COST_MEDIUM, COST_HEAVY, fixture->now));
}

static void cheap_comes_before_costly(void **state)
{
    struct fixture *fixture = *state;
    static const size_t order[] = {P256, RSA2048, RSA4096};
    for (size_t i = 3; i-- > 0;)
        submit(fixture, 0, order[i]);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(take(fixture), 1);
        assert_ptr_equal(finish(fixture, 1, 0), &kinds.kinds[order[i]]);
    }
}

static void classes_can_be_left_out(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, 0, P256);
    submit(fixture, 0, RSA4096);
    assert_int_equal(queue_waiting(&fixture->queue, COST_CHEAP), 1);
    assert_int_equal(take_classes(fixture, COST_MEDIUM, COST_HEAVY), 1);
    assert_ptr_equal(finish(fixture, 1, 4000000), &kinds.kinds[RSA4096]);
    assert_int_equal(take_classes(fixture, COST_MEDIUM, COST_HEAVY), 0);
    assert_int_equal(take_classes(fixture, COST_CHEAP, COST_CHEAP), 1);
    finish(fixture, 1, 20000);
}

/* How the signers' time is shared while all classes have work, in thousandths. */
static void time_is_shared_and_nobody_starves(void **state)
{
    struct fixture *fixture = *state;
    static const size_t of_class[] = {P256, RSA2048, RSA4096};
    uint64_t spent[COST_CLASSES] = {0}, total = 0;
    for (size_t cost = 0; cost < COST_CLASSES; cost++)
        for (size_t i = 0; i < 4; i++)
            submit(fixture, 0, of_class[cost]);
    while (total < 2 * NS_PER_S) {
        assert_int_equal(take(fixture), 1);
        const struct kind *kind = fixture->batch[0]->key->kind;
        finish(fixture, 1, kind->single_ns);
        spent[kind->cost] += kind->single_ns;
        total += kind->single_ns;
        submit(fixture, 0, kind->index);
    }
    assert_in_range(spent[COST_CHEAP] * 1000 / total, 790, 810);
    assert_in_range(spent[COST_MEDIUM] * 1000 / total, 95, 105);
    assert_in_range(spent[COST_HEAVY] * 1000 / total, 95, 105);
}

static void an_idle_line_gathers_no_credit(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 100; i++) {
        submit(fixture, 0, RSA2048);
        assert_int_equal(take(fixture), 1);
        finish(fixture, 1, 600000);
    }
    /* 60 ms of RSA-2048 alone do not let RSA-4096 have the next 60 ms alone */
    for (size_t i = 0; i < 10; i++) {
        submit(fixture, 0, RSA2048);
        submit(fixture, 0, RSA4096);
    }
    size_t heavy = 0;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(take(fixture), 1);
        const struct kind *kind = fixture->batch[0]->key->kind;
        heavy += kind->index == RSA4096;
        finish(fixture, 1, kind->single_ns);
    }
    assert_in_range(heavy, 1, 2);
}

static void withdrawn_work_is_not_done(void **state)
{
    struct fixture *fixture = *state;
    struct job *first = submit(fixture, 0, P256), *second = submit(fixture, 0, P256);
    assert_true(queue_withdraw(&fixture->queue, first));
    assert_int_equal(fixture->queue.jobs, 1);
    assert_int_equal(take(fixture), 1);
    assert_ptr_equal(fixture->batch[0], second);
    assert_false(queue_withdraw(&fixture->queue, second)); /* begun */
    finish(fixture, 1, 20000);
    job_free(first);
}

static void late_work_is_not_done(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, 0, P256)->deadline = 1;
    struct job *good = submit(fixture, 0, P256);
    assert_int_equal(take(fixture), 1);
    assert_ptr_equal(fixture->batch[0], good);
    assert_int_equal(collect_late(fixture, IMMURE_E_EXPIRED), 1);
    finish(fixture, 1, 20000);
    submit(fixture, 0, P256)->deadline = 1;
    assert_int_equal(take(fixture), 0);
    assert_int_equal(collect_late(fixture, IMMURE_E_EXPIRED), 1);
}

static void nothing_waits_for_longer_than_the_age(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, 0, P256);
    fixture->now += NS_PER_MS;
    submit(fixture, 0, RSA4096);
    assert_int_equal(queue_age(&fixture->queue, fixture->now), NS_PER_MS);
    fixture->now = queue_wake(&fixture->queue, fixture->now) - 1;
    queue_expire(&fixture->queue, fixture->now, &fixture->late);
    assert_int_equal(collect_late(fixture, IMMURE_E_BUSY), 0);
    fixture->now++;
    queue_expire(&fixture->queue, fixture->now, &fixture->late);
    assert_int_equal(collect_late(fixture, IMMURE_E_BUSY), 1);
    assert_int_equal(fixture->queue.jobs, 1);
    fixture->now += AGE;
    queue_expire(&fixture->queue, fixture->now, &fixture->late);
    assert_int_equal(collect_late(fixture, IMMURE_E_BUSY), 1);
    assert_int_equal(queue_wake(&fixture->queue, fixture->now), UINT64_MAX);
}

static void a_standstill_does_not_count(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, 0, P256);
    fixture->now += NS_PER_MS;
    submit(fixture, 0, RSA4096);
    fixture->now += 2 * AGE;
    queue_forgive(&fixture->queue, 2 * AGE);
    assert_int_equal(queue_age(&fixture->queue, fixture->now), NS_PER_MS);
    queue_expire(&fixture->queue, fixture->now, &fixture->late);
    assert_int_equal(collect_late(fixture, IMMURE_E_BUSY), 0);
    fixture->now += AGE;
    queue_expire(&fixture->queue, fixture->now, &fixture->late);
    assert_int_equal(collect_late(fixture, IMMURE_E_BUSY), 1);
    assert_int_equal(fixture->queue.jobs, 1);
}

static size_t fill(struct fixture *fixture, size_t client, size_t kind)
{
    size_t count = 0;
    while (submit(fixture, client, kind) != NULL)
        count++;
    return count;
}

/* One client's flood is refused before another's first requests are. */
static void what_waits_is_bounded_in_time_and_shared(void **state)
{
    struct fixture *fixture = *state;
    size_t all = SIGNERS * AGE / (4 * NS_PER_MS);
    assert_int_equal(fill(fixture, 0, RSA4096), all);
    assert_int_equal(fill(fixture, 1, RSA4096), all / 2);
    assert_int_equal(fill(fixture, 2, RSA4096), all / 3);
    assert_null(submit(fixture, 0, RSA4096));
}

static void what_batches_save_makes_room(void **state)
{
    struct fixture *fixture = *state;
    make_lanes(RSA4096);
    assert_int_equal(fill(fixture, 0, RSA4096), SIGNERS * AGE / (4 * NS_PER_MS * 3 / 8));
}

static void jobs_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    kinds.kinds[P256].single_ns = 1;
    assert_int_equal(fill(fixture, 0, P256), QUEUE_JOBS_MAX);
    assert_int_equal(take(fixture), 1);
    finish(fixture, 1, 20000);
    assert_non_null(submit(fixture, 0, P256));
    assert_null(submit(fixture, 0, RSA2048));
}

static void bytes_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    size_t fit = QUEUE_BYTES_MAX / WIRE_MESSAGE_MAX;
    for (size_t i = 0; i < fit; i++)
        assert_non_null(submit_message(fixture, 0, P256, WIRE_MESSAGE_MAX));
    assert_null(submit_message(fixture, 1, P256, WIRE_MESSAGE_MAX));
    assert_int_equal(take(fixture), 1);
    finish(fixture, 1, 20000);
    assert_non_null(submit_message(fixture, 1, P256, WIRE_MESSAGE_MAX));
}

static void a_hold_waits_for_a_full_batch_and_not_for_ever(void **state)
{
    struct fixture *fixture = *state;
    make_lanes(RSA2048);
    begin(fixture, NS_PER_MS);
    uint64_t until = fixture->now + NS_PER_MS;
    for (size_t i = 0; i < 7; i++)
        submit(fixture, 0, RSA2048);
    submit(fixture, 0, RSA4096); /* no batches, so it is not held */
    assert_int_equal(take(fixture), 1);
    assert_ptr_equal(finish(fixture, 1, 1), &kinds.kinds[RSA4096]);
    assert_int_equal(take(fixture), 0);
    assert_int_equal(queue_wake(&fixture->queue, fixture->now), until);
    fixture->now = until;
    assert_int_equal(take(fixture), 7);
    finish(fixture, 7, 1);
    for (size_t i = 0; i < 8; i++)
        submit(fixture, 0, RSA2048);
    assert_int_equal(take(fixture), 8);
    finish(fixture, 8, 1);
    kinds.kinds[RSA2048].enough = 4;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(take(fixture), 0);
        submit(fixture, 0, RSA2048);
    }
    assert_int_equal(take(fixture), 4);
    finish(fixture, 4, 1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(first_come_first_served),
        TEST(a_batch_is_what_waits_of_one_kind_up_to_the_width),
        TEST(a_little_more_than_a_step_is_taken_in_two),
        TEST(too_few_for_a_batch_go_one_by_one),
        TEST(clients_are_served_in_turn),
        TEST(who_asks_for_one_is_found_beside_a_flood),
        TEST(cheap_comes_before_costly),
        TEST(classes_can_be_left_out),
        TEST(time_is_shared_and_nobody_starves),
        TEST(an_idle_line_gathers_no_credit),
        TEST(withdrawn_work_is_not_done),
        TEST(late_work_is_not_done),
        TEST(nothing_waits_for_longer_than_the_age),
        TEST(a_standstill_does_not_count),
        TEST(what_waits_is_bounded_in_time_and_shared),
        TEST(what_batches_save_makes_room),
        TEST(jobs_are_bounded),
        TEST(bytes_are_bounded),
        TEST(a_hold_waits_for_a_full_batch_and_not_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
