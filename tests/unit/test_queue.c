/* The queue of jobs: order, shares, turns, bounds, cancelling, deadlines, holding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keyd/sign/queue.h"

#define ACCOUNTS 3
#define SESSIONS 2 /* of each account */
#define CLIENTS (ACCOUNTS * SESSIONS)
#define AGE NS_PER_S
#define SIGNERS 2

/* Session 0 of each account; session 1 is OTHER plus that. */
enum { FIRST, SECOND, THIRD, OTHER };

enum { P256, P384, RSA2048, RSA4096, KINDS };

static const struct driver lanes = {.name = "lanes", .lanes = true};
static const struct driver alone = {.name = "alone"};

static struct kinds kinds;
static const struct key keys[KINDS] = {{.kind = &kinds.kinds[P256]},
                                       {.kind = &kinds.kinds[P384]},
                                       {.kind = &kinds.kinds[RSA2048]},
                                       {.kind = &kinds.kinds[RSA4096]}};

struct fixture {
    struct queue queue;
    struct account_share accounts[ACCOUNTS];
    struct queue_session sessions[CLIENTS];
    struct job *batch[DRIVER_BATCH_MAX];
    struct list late;
    uint64_t now;
};

static void measure(size_t index, uint64_t single_ns)
{
    kinds.kinds[index] = (struct kind){.index = index, .single = &alone, .single_width = 1};
    kind_measured(&kinds.kinds[index], single_ns);
}

/* A batch of eight takes as long as three jobs one by one. */
static void make_lanes(size_t index)
{
    struct kind *kind = &kinds.kinds[index];
    kind->batch = &lanes;
    kind->width = kind->hold_for = 8;
    kind->threshold = 3;
    kind->batch_ns = 3 * kind->single_ns;
}

static void begin(struct fixture *fixture, uint64_t hold)
{
    queue_init(&fixture->queue, &kinds, AGE, SIGNERS, hold);
    list_init(&fixture->late);
    fixture->now = NS_PER_S;
    for (size_t i = 0; i < ACCOUNTS; i++)
        account_share_open(&fixture->accounts[i], &fixture->queue.share);
    for (size_t i = 0; i < CLIENTS; i++)
        assert_true(queue_open_session(&fixture->queue, &fixture->sessions[i],
                                       &fixture->accounts[i % ACCOUNTS]));
}

static void end(struct fixture *fixture)
{
    queue_destroy(&fixture->queue);
    assert_int_equal(fixture->queue.share.jobs, 0);
    assert_int_equal(fixture->queue.share.work, 0);
    assert_int_equal(fixture->queue.share.active, 0);
    for (size_t i = 0; i < CLIENTS; i++)
        queue_close_session(&fixture->sessions[i]);
    for (size_t i = 0; i < ACCOUNTS; i++)
        account_share_close(&fixture->accounts[i]);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    kinds.count = KINDS;
    measure(P256, 20 * NS_PER_US);
    measure(P384, 800 * NS_PER_US);
    measure(RSA2048, 600 * NS_PER_US);
    measure(RSA4096, 4 * NS_PER_MS);
    begin(&fixture, 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    end(*state);
    return 0;
}

static struct job *submit_message(struct fixture *fixture, size_t client, size_t kind,
                                  size_t length)
{
    static const uint8_t message[WIRE_MESSAGE_MAX];
    struct job *job = job_new(&keys[kind], wire_schemes, message, length);
    assert_non_null(job);
    job->id = client;
    if (queue_submit(&fixture->queue, job, &fixture->sessions[client], fixture->now))
        return job;
    job_free(job);
    return NULL;
}

static struct job *submit(struct fixture *fixture, size_t client, size_t kind)
{
    return submit_message(fixture, client, kind, 1);
}

static size_t take_for(struct fixture *fixture, enum queue_for who)
{
    struct line *line = queue_next(&fixture->queue, who, fixture->now);
    return line != NULL ? queue_take(&fixture->queue, line, who, kind_take(line->kind, line->jobs),
                                     fixture->now, fixture->batch, &fixture->late)
                        : 0;
}

/* Takes the next batch, quick or not. */
static size_t take(struct fixture *fixture)
{
    size_t count = take_for(fixture, QUEUE_FOR_LOOP);
    return count > 0 ? count : take_for(fixture, QUEUE_FOR_THREADS);
}

static const struct kind *finish(struct fixture *fixture, size_t count, uint64_t ns)
{
    const struct kind *kind = fixture->batch[0]->key->kind;
    queue_charge(&fixture->queue, fixture->batch, count, ns);
    for (size_t i = 0; i < count; i++)
        job_free(fixture->batch[i]);
    return kind;
}

/* Takes the next batch, which must be one job and takes the expected time. Returns whose it was. */
static size_t serve(struct fixture *fixture)
{
    assert_int_equal(take(fixture), 1);
    size_t client = fixture->batch[0]->id;
    finish(fixture, 1, fixture->batch[0]->key->kind->single_ns);
    return client;
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
    make_lanes(RSA2048);
    make_lanes(P384);
    for (size_t i = 0; i < 12; i++) {
        submit(fixture, FIRST, RSA2048);
        submit(fixture, FIRST, P384);
    }
    static const struct {
        size_t count, kind;
    } expected[] = {{8, RSA2048}, {8, P384}, {4, RSA2048}, {4, P384}};
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
    kinds.kinds[RSA2048].small_width = 4;
    kinds.kinds[RSA2048].full_from = 6;
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
        assert_int_equal(fixture->queue.share.jobs, 0);
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

static void accounts_come_first_and_then_their_sessions(void **state)
{
    struct fixture *fixture = *state;
    /* the first account floods with two sessions, the second asks with one */
    for (size_t i = 0; i < 100; i++) {
        submit(fixture, FIRST, RSA2048);
        submit(fixture, OTHER + FIRST, RSA2048);
        submit(fixture, SECOND, RSA2048);
    }
    size_t served[CLIENTS] = {0};
    for (size_t i = 0; i < 80; i++)
        served[serve(fixture)]++;
    assert_int_equal(served[SECOND], 40);
    assert_int_equal(served[FIRST], 20);
    assert_int_equal(served[OTHER + FIRST], 20);
}

static void a_newcomer_is_next(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 100; i++)
        submit(fixture, FIRST, RSA2048);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(serve(fixture), FIRST);
    submit(fixture, SECOND, RSA2048);
    submit(fixture, OTHER + FIRST, RSA2048);
    assert_int_equal(serve(fixture), SECOND);
    assert_int_equal(serve(fixture), OTHER + FIRST);
    assert_int_equal(serve(fixture), FIRST);
}

/* An account with expensive requests gets the same time, not the same number of signatures. */
static void what_counts_is_the_time(void **state)
{
    struct fixture *fixture = *state;
    uint64_t spent[ACCOUNTS] = {0};
    for (size_t i = 0; i < 200; i++) {
        submit(fixture, FIRST, RSA2048);
        if (i < 50)
            submit(fixture, SECOND, RSA4096);
    }
    while (spent[FIRST] + spent[SECOND] < 200 * NS_PER_MS) {
        assert_int_equal(take(fixture), 1);
        size_t client = fixture->batch[0]->id;
        uint64_t ns = fixture->batch[0]->key->kind->single_ns;
        finish(fixture, 1, ns);
        spent[client] += ns;
    }
    assert_in_range(spent[FIRST], 94 * NS_PER_MS, 106 * NS_PER_MS);
}

/* The expected time is replaced by the measured time. */
static void it_is_the_time_that_was_measured(void **state)
{
    struct fixture *fixture = *state;
    size_t served[ACCOUNTS] = {0};
    for (size_t i = 0; i < 100; i++) {
        submit(fixture, FIRST, RSA2048);
        submit(fixture, SECOND, RSA2048);
    }
    for (size_t i = 0; i < 80; i++) {
        assert_int_equal(take(fixture), 1);
        size_t client = fixture->batch[0]->id;
        finish(fixture, 1, client == FIRST ? 3 * NS_PER_MS : NS_PER_MS);
        served[client]++;
    }
    assert_in_range(served[FIRST], 19, 21);
}

/* While a batch is running, its owner is charged its expected time. */
static void what_is_under_way_counts(void **state)
{
    struct fixture *fixture = *state;
    struct job *batches[2];
    for (size_t i = 0; i < 10; i++)
        submit(fixture, FIRST, RSA2048);
    submit(fixture, SECOND, RSA4096);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(take(fixture), 1);
        batches[i] = fixture->batch[0];
    }
    assert_true(batches[0]->id != batches[1]->id);
    for (size_t i = 0; i < 2; i++) {
        fixture->batch[0] = batches[i];
        finish(fixture, 1, batches[i]->key->kind->single_ns);
    }
}

static void a_batch_is_filled_by_turns(void **state)
{
    struct fixture *fixture = *state;
    make_lanes(RSA2048);
    for (size_t i = 0; i < 20; i++)
        submit(fixture, FIRST, RSA2048);
    for (size_t i = 0; i < 3; i++)
        submit(fixture, SECOND, RSA2048);
    submit(fixture, THIRD, RSA2048);
    size_t served[ACCOUNTS] = {0};
    assert_int_equal(take(fixture), 8);
    for (size_t i = 0; i < 8; i++)
        served[fixture->batch[i]->id]++;
    finish(fixture, 8, 1800 * NS_PER_US);
    assert_int_equal(served[FIRST], 4);
    assert_int_equal(served[SECOND], 3);
    assert_int_equal(served[THIRD], 1);
}

static bool owes(struct fixture *fixture)
{
    struct line *line = queue_next(&fixture->queue, QUEUE_FOR_THREADS, fixture->now);
    assert_non_null(line);
    return queue_owes(line);
}

/* Time is owed to an account that uses less than its share, and not to one that floods. */
static void who_is_owed(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 20; i++)
        submit(fixture, FIRST, RSA2048);
    assert_false(owes(fixture));
    serve(fixture);
    serve(fixture);
    submit(fixture, OTHER + FIRST, RSA2048); /* another session */
    submit(fixture, OTHER + FIRST, RSA2048);
    assert_true(owes(fixture));
    assert_int_equal(serve(fixture), OTHER + FIRST);
    assert_false(owes(fixture)); /* it has been served */
    while (fixture->queue.share.jobs > 10)
        serve(fixture);
    submit(fixture, SECOND, RSA4096); /* another account */
    assert_true(owes(fixture));
    assert_int_equal(serve(fixture), SECOND);
    submit(fixture, SECOND, RSA4096); /* which has just had its share */
    serve(fixture);
    assert_false(owes(fixture));
}

/* If an account sends small requests while another's long batch is running, each of them is owed
 * time, until the account has received as much. */
static void who_asks_for_little_is_owed_each_time(void **state)
{
    struct fixture *fixture = *state;
    measure(P384, 150 * NS_PER_US);
    for (size_t i = 0; i < 20; i++)
        submit(fixture, FIRST, RSA4096);
    assert_int_equal(take(fixture), 1); /* 4 ms */
    struct job *under_way = fixture->batch[0];
    for (size_t i = 0; i < 20; i++) {
        submit(fixture, OTHER + FIRST, P384);
        assert_true(owes(fixture));
        assert_int_equal(serve(fixture), OTHER + FIRST);
    }
    for (size_t i = 0; i < 8; i++) {
        submit(fixture, OTHER + FIRST, P384);
        serve(fixture);
    }
    submit(fixture, OTHER + FIRST, P384);
    assert_false(owes(fixture));
    fixture->batch[0] = under_way;
    finish(fixture, 1, 4 * NS_PER_MS);
}

/* Within a session, ECDSA does not wait behind earlier RSA requests. */
static void cheap_comes_before_costly(void **state)
{
    struct fixture *fixture = *state;
    measure(P384, 150 * NS_PER_US);
    static const size_t order[] = {P384, RSA2048, RSA4096};
    for (size_t i = 3; i-- > 0;)
        submit(fixture, 0, order[i]);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(take(fixture), 1);
        assert_ptr_equal(finish(fixture, 1, 0), &kinds.kinds[order[i]]);
    }
}

static void the_loop_has_what_is_quick_and_threads_the_rest(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, FIRST, P256);
    submit(fixture, FIRST, RSA4096);
    submit(fixture, FIRST, P384);
    assert_int_equal(take_for(fixture, QUEUE_FOR_LOOP), 1);
    assert_ptr_equal(finish(fixture, 1, 20000), &kinds.kinds[P256]);
    assert_int_equal(take_for(fixture, QUEUE_FOR_LOOP), 0);
    submit(fixture, FIRST, P256);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(take_for(fixture, QUEUE_FOR_THREADS), 1);
        assert_ptr_not_equal(finish(fixture, 1, 1000000), &kinds.kinds[P256]);
    }
    assert_int_equal(take_for(fixture, QUEUE_FOR_THREADS), 0);
    /* more than fit into a turn of the loop */
    for (size_t i = 0; i < QUEUE_LOOP_TIME / (20 * NS_PER_US); i++)
        submit(fixture, FIRST, P256);
    assert_int_equal(take_for(fixture, QUEUE_FOR_THREADS), 1);
    finish(fixture, 1, 20000);
    assert_int_equal(take_for(fixture, QUEUE_FOR_THREADS), 0);
}

/* Hashing it takes too long for the event loop. */
static void a_long_message_is_not_for_the_loop(void **state)
{
    struct fixture *fixture = *state;
    submit_message(fixture, FIRST, P256, WIRE_MESSAGE_MAX);
    submit(fixture, FIRST, P256);
    assert_int_equal(take_for(fixture, QUEUE_FOR_LOOP), 0);
    assert_int_equal(take_for(fixture, QUEUE_FOR_THREADS), 1);
    assert_int_equal(fixture->batch[0]->message_length, WIRE_MESSAGE_MAX);
    finish(fixture, 1, 200000);
    assert_int_equal(take_for(fixture, QUEUE_FOR_LOOP), 1);
    finish(fixture, 1, 20000);
}

/* How the time of one session is shared while all kinds have work, in thousandths. */
static void time_is_shared_and_no_kind_starves(void **state)
{
    struct fixture *fixture = *state;
    static const size_t of_kind[] = {P384, RSA2048, RSA4096};
    uint64_t spent[KINDS] = {0}, total = 0;
    measure(P384, 150 * NS_PER_US);
    for (size_t kind = 0; kind < 3; kind++)
        for (size_t i = 0; i < 4; i++)
            submit(fixture, 0, of_kind[kind]);
    while (total < 2 * NS_PER_S) {
        assert_int_equal(take(fixture), 1);
        const struct kind *kind = fixture->batch[0]->key->kind;
        finish(fixture, 1, kind->single_ns);
        spent[kind->index] += kind->single_ns;
        total += kind->single_ns;
        submit(fixture, 0, kind->index);
    }
    assert_in_range(spent[P384] * 1000 / total, 790, 810);
    assert_in_range(spent[RSA2048] * 1000 / total, 95, 105);
    assert_in_range(spent[RSA4096] * 1000 / total, 95, 105);
}

/* When one has had 60 ms alone, another does not get the next 60 ms alone: kinds, sessions,
 * accounts. */
static void idleness_gathers_no_credit(void **state)
{
    static const struct {
        size_t client, kind;
    } others[] = {{FIRST, RSA4096}, {OTHER + FIRST, RSA4096}, {SECOND, RSA4096}};
    struct fixture *fixture = *state;
    for (size_t other = 0; other < 3; other++) {
        end(fixture);
        begin(fixture, 0);
        for (size_t i = 0; i < 100; i++) {
            submit(fixture, FIRST, RSA2048);
            serve(fixture);
        }
        for (size_t i = 0; i < 10; i++) {
            submit(fixture, FIRST, RSA2048);
            submit(fixture, others[other].client, others[other].kind);
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
}

static void withdrawn_work_is_not_done(void **state)
{
    struct fixture *fixture = *state;
    struct job *first = submit(fixture, 0, P256), *second = submit(fixture, 0, P256);
    assert_true(queue_withdraw(&fixture->queue, first));
    assert_int_equal(fixture->queue.share.jobs, 1);
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
    assert_int_equal(fixture->queue.share.jobs, 1);
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
    assert_int_equal(fixture->queue.share.jobs, 1);
}

static size_t fill(struct fixture *fixture, size_t client, size_t kind)
{
    size_t count = 0;
    while (submit(fixture, client, kind) != NULL)
        count++;
    return count;
}

/* A flood is refused before another client's first requests are, between accounts and between
 * sessions of one account. */
static void what_waits_is_bounded_in_time_and_shared(void **state)
{
    struct fixture *fixture = *state;
    size_t all = SIGNERS * AGE / (4 * NS_PER_MS);
    assert_int_equal(fill(fixture, FIRST, RSA4096), all);
    assert_int_equal(fill(fixture, OTHER + FIRST, RSA4096), all / 2);
    assert_int_equal(fill(fixture, SECOND, RSA4096), all / 2);
    assert_int_equal(fill(fixture, OTHER + SECOND, RSA4096), all / 2 / 2);
    assert_int_equal(fill(fixture, THIRD, RSA4096), all / 3);
    assert_null(submit(fixture, FIRST, RSA4096));
}

static void what_batches_save_makes_room(void **state)
{
    struct fixture *fixture = *state;
    make_lanes(RSA4096);
    assert_int_equal(fill(fixture, 0, RSA4096), SIGNERS * AGE / (4 * NS_PER_MS * 3 / 8));
}

static void a_hold_waits_for_a_full_batch_and_not_for_ever(void **state)
{
    struct fixture *fixture = *state;
    make_lanes(RSA2048);
    end(fixture);
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
    kinds.kinds[RSA2048].hold_for = 4;
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
        TEST(accounts_come_first_and_then_their_sessions),
        TEST(a_newcomer_is_next),
        TEST(what_counts_is_the_time),
        TEST(it_is_the_time_that_was_measured),
        TEST(what_is_under_way_counts),
        TEST(a_batch_is_filled_by_turns),
        TEST(who_is_owed),
        TEST(who_asks_for_little_is_owed_each_time),
        TEST(cheap_comes_before_costly),
        TEST(the_loop_has_what_is_quick_and_threads_the_rest),
        TEST(a_long_message_is_not_for_the_loop),
        TEST(time_is_shared_and_no_kind_starves),
        TEST(idleness_gathers_no_credit),
        TEST(withdrawn_work_is_not_done),
        TEST(late_work_is_not_done),
        TEST(nothing_waits_for_longer_than_the_age),
        TEST(a_standstill_does_not_count),
        TEST(what_waits_is_bounded_in_time_and_shared),
        TEST(what_batches_save_makes_room),
        TEST(a_hold_waits_for_a_full_batch_and_not_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
