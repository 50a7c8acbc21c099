/* The queue between event loop and signers: order, shares, bounds, cancelling, deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "keyd/queue.h"

static const struct key p256 = {.type = WIRE_KEY_EC, .bits = 256, .cost = COST_CHEAP};
static const struct key p384 = {.type = WIRE_KEY_EC, .bits = 384, .cost = COST_CHEAP};
static const struct key rsa2048 = {.type = WIRE_KEY_RSA, .bits = 2048, .cost = COST_MEDIUM};
static const struct key rsa4096 = {.type = WIRE_KEY_RSA, .bits = 4096, .cost = COST_HEAVY};

static size_t width_now = 1;
static size_t width(const struct key *key)
{
    (void)key;
    return width_now;
}

struct fixture {
    struct queue queue;
    struct queue_seat seat, express;
    struct job *batch[QUEUE_BATCH_MAX];
};

static int set_up(void **state)
{
    static struct fixture fixture;
    assert_true(queue_init(&fixture.queue, width));
    queue_seat_init(&fixture.seat, false);
    queue_seat_init(&fixture.express, true);
    width_now = 1;
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    queue_destroy(&fixture->queue);
    return 0;
}

static struct job *submit_message(struct fixture *fixture, const struct key *key, size_t length)
{
    static const uint8_t message[WIRE_MESSAGE_MAX];
    struct job *job = job_new(key, wire_schemes, message, length);
    assert_non_null(job);
    if (queue_submit(&fixture->queue, job, clock_now()))
        return job;
    job_free(job);
    return NULL;
}

static struct job *submit(struct fixture *fixture, const struct key *key)
{
    return submit_message(fixture, key, 1);
}

static size_t take(struct fixture *fixture)
{
    return queue_take(&fixture->queue, &fixture->seat, fixture->batch);
}

static void finish(struct fixture *fixture, size_t count, uint64_t ns)
{
    queue_finish(&fixture->queue, fixture->batch, count, ns);
}

static bool told(struct fixture *fixture)
{
    struct pollfd wake = {.fd = fixture->queue.wake, .events = POLLIN};
    return poll(&wake, 1, 0) == 1;
}

static size_t collect(struct fixture *fixture, enum immure_error error)
{
    struct list done;
    list_init(&done);
    queue_collect(&fixture->queue, &done);
    size_t count = 0;
    for (struct list *node; (node = list_take(&done)) != NULL; count++) {
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
        jobs[i] = submit(fixture, &p256);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(take(fixture), 1);
        assert_ptr_equal(fixture->batch[0], jobs[i]);
        finish(fixture, 1, 20000);
    }
    assert_int_equal(collect(fixture, IMMURE_OK), 3);
    assert_int_equal(queue_figures(&fixture->queue).batches, 3);
}

static void a_batch_is_what_waits_of_one_kind_up_to_the_width(void **state)
{
    struct fixture *fixture = *state;
    width_now = 8;
    for (size_t i = 0; i < 10; i++) {
        submit(fixture, &p256);
        submit(fixture, &p384);
    }
    static const struct {
        size_t count;
        const struct key *key;
    } expected[] = {{8, &p256}, {8, &p384}, {2, &p256}, {2, &p384}};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(take(fixture), expected[i].count);
        for (size_t j = 0; j < expected[i].count; j++)
            assert_ptr_equal(fixture->batch[j]->key, expected[i].key);
        finish(fixture, expected[i].count, 1000);
    }
    assert_int_equal(collect(fixture, IMMURE_OK), 20);
}

static void a_width_beyond_the_bound_is_cut(void **state)
{
    struct fixture *fixture = *state;
    width_now = SIZE_MAX;
    for (size_t i = 0; i < QUEUE_BATCH_MAX + 1; i++)
        submit(fixture, &p256);
    assert_int_equal(take(fixture), QUEUE_BATCH_MAX);
    finish(fixture, QUEUE_BATCH_MAX, 1000);
}

static void cheap_comes_before_costly(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, &rsa4096);
    submit(fixture, &rsa2048);
    submit(fixture, &p256);
    static const struct key *const order[] = {&p256, &rsa2048, &rsa4096};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(take(fixture), 1);
        assert_ptr_equal(fixture->batch[0]->key, order[i]);
        finish(fixture, 1, 0);
    }
}

/* How the signer's time is shared while all classes have work, in ms of 1000. */
static void shares(struct fixture *fixture, unsigned share[COST_CLASSES])
{
    static const struct key *const keys[] = {&p256, &rsa2048, &rsa4096};
    static const uint64_t ns[] = {20000, 600000, 4000000};
    uint64_t spent[COST_CLASSES] = {0}, total = 0;
    for (size_t cost = 0; cost < COST_CLASSES; cost++)
        for (size_t i = 0; i < 4; i++)
            submit(fixture, keys[cost]);
    while (total < 2 * NS_PER_S) {
        assert_int_equal(take(fixture), 1);
        enum cost cost = fixture->batch[0]->key->cost;
        finish(fixture, 1, ns[cost]);
        spent[cost] += ns[cost];
        total += ns[cost];
        assert_int_equal(collect(fixture, IMMURE_OK), 1);
        submit(fixture, keys[cost]);
    }
    for (size_t cost = 0; cost < COST_CLASSES; cost++)
        share[cost] = (unsigned)(spent[cost] * 1000 / total);
}

static void time_is_shared_and_nobody_starves(void **state)
{
    unsigned share[COST_CLASSES];
    shares(*state, share);
    assert_in_range(share[COST_CHEAP], 790, 810);
    assert_in_range(share[COST_MEDIUM], 95, 105);
    assert_in_range(share[COST_HEAVY], 95, 105);
}

static void an_idle_class_gathers_no_credit(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 100; i++) {
        submit(fixture, &rsa2048);
        assert_int_equal(take(fixture), 1);
        finish(fixture, 1, 600000);
    }
    /* 60 ms of RSA-2048 alone do not let RSA-4096 have the next 60 ms alone */
    for (size_t i = 0; i < 10; i++) {
        submit(fixture, &rsa2048);
        submit(fixture, &rsa4096);
    }
    size_t heavy = 0;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(take(fixture), 1);
        heavy += fixture->batch[0]->key == &rsa4096;
        finish(fixture, 1, fixture->batch[0]->key == &rsa4096 ? 4000000 : 600000);
    }
    assert_in_range(heavy, 1, 2);
}

static void express_takes_cheap_work_only(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, &rsa4096);
    submit(fixture, &rsa2048);
    submit(fixture, &p256);
    assert_int_equal(queue_take(&fixture->queue, &fixture->express, fixture->batch), 1);
    assert_ptr_equal(fixture->batch[0]->key, &p256);
    finish(fixture, 1, 20000);
    queue_close(&fixture->queue);
    assert_int_equal(queue_take(&fixture->queue, &fixture->express, fixture->batch), 0);
    /* what waits is still done after closing */
    assert_int_equal(take(fixture), 1);
    finish(fixture, 1, 600000);
    assert_int_equal(take(fixture), 1);
    finish(fixture, 1, 4000000);
    assert_int_equal(take(fixture), 0);
}

static void withdrawn_work_is_not_done(void **state)
{
    struct fixture *fixture = *state;
    struct job *first = submit(fixture, &p256), *second = submit(fixture, &p256);
    assert_true(queue_withdraw(&fixture->queue, first));
    assert_int_equal(queue_figures(&fixture->queue).jobs, 1);
    assert_int_equal(take(fixture), 1);
    assert_ptr_equal(fixture->batch[0], second);
    assert_false(queue_withdraw(&fixture->queue, second)); /* begun */
    finish(fixture, 1, 20000);
    assert_false(queue_withdraw(&fixture->queue, second)); /* done */
    assert_int_equal(collect(fixture, IMMURE_OK), 1);
    job_free(first);
}

static void late_work_is_not_done(void **state)
{
    struct fixture *fixture = *state;
    struct job *late = submit(fixture, &p256);
    late->deadline = 1;
    struct job *good = submit(fixture, &p256);
    assert_int_equal(take(fixture), 1);
    assert_ptr_equal(fixture->batch[0], good);
    assert_true(told(fixture));
    assert_int_equal(collect(fixture, IMMURE_E_EXPIRED), 1);
    finish(fixture, 1, 20000);
    assert_int_equal(collect(fixture, IMMURE_OK), 1);
}

static void the_event_loop_is_told_once(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 3; i++)
        submit(fixture, &p256);
    assert_false(told(fixture));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(take(fixture), 1);
        finish(fixture, 1, 20000);
    }
    uint64_t count;
    assert_int_equal(read(fixture->queue.wake, &count, sizeof count), sizeof count);
    assert_int_equal(count, 1);
    assert_int_equal(collect(fixture, IMMURE_OK), 3);
    submit(fixture, &p256);
    assert_int_equal(take(fixture), 1);
    finish(fixture, 1, 20000);
    assert_true(told(fixture));
}

static void jobs_and_bytes_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < QUEUE_JOBS_MAX; i++)
        assert_non_null(submit(fixture, &p256));
    assert_null(submit(fixture, &p256));
    assert_int_equal(take(fixture), 1);
    finish(fixture, 1, 20000);
    assert_non_null(submit(fixture, &p256));
    assert_null(submit(fixture, &rsa2048));
}

static void bytes_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    size_t fit = QUEUE_BYTES_MAX / WIRE_MESSAGE_MAX;
    for (size_t i = 0; i < fit; i++)
        assert_non_null(submit_message(fixture, &p256, WIRE_MESSAGE_MAX));
    assert_null(submit_message(fixture, &p256, WIRE_MESSAGE_MAX));
    assert_int_equal(take(fixture), 1);
    finish(fixture, 1, 20000);
    assert_non_null(submit_message(fixture, &p256, WIRE_MESSAGE_MAX));
}

#define SIGNERS 4
#define JOBS 20000

static void *sign_forever(void *arg)
{
    struct queue *queue = arg;
    struct queue_seat seat;
    struct job *batch[QUEUE_BATCH_MAX];
    queue_seat_init(&seat, false);
    for (size_t count; (count = queue_take(queue, &seat, batch)) > 0;)
        queue_finish(queue, batch, count, 1);
    return NULL;
}

/* Threads that sleep are woken, no job is lost, none is done twice. */
static void many_signers(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[SIGNERS];
    for (size_t i = 0; i < SIGNERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_forever, &fixture->queue), 0);
    static const struct key *const keys[] = {&p256, &rsa2048, &rsa4096, &p384};
    size_t done = 0, withdrawn = 0;
    for (size_t i = 0; i < JOBS; i++) {
        struct job *job = submit(fixture, keys[i % 4]);
        if (i % 7 == 0 && queue_withdraw(&fixture->queue, job)) {
            job_free(job);
            withdrawn++;
        }
        if (i % 50 == 0)
            done += collect(fixture, IMMURE_OK);
    }
    while (done + withdrawn < JOBS) {
        struct pollfd wake = {.fd = fixture->queue.wake, .events = POLLIN};
        assert_int_equal(poll(&wake, 1, 10000), 1);
        done += collect(fixture, IMMURE_OK);
    }
    queue_close(&fixture->queue);
    for (size_t i = 0; i < SIGNERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(done + withdrawn, JOBS);
    assert_int_equal(queue_figures(&fixture->queue).jobs, 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(first_come_first_served),
        TEST(a_batch_is_what_waits_of_one_kind_up_to_the_width),
        TEST(a_width_beyond_the_bound_is_cut),
        TEST(cheap_comes_before_costly),
        TEST(time_is_shared_and_nobody_starves),
        TEST(an_idle_class_gathers_no_credit),
        TEST(express_takes_cheap_work_only),
        TEST(withdrawn_work_is_not_done),
        TEST(late_work_is_not_done),
        TEST(the_event_loop_is_told_once),
        TEST(jobs_and_bytes_are_bounded),
        TEST(bytes_are_bounded),
        TEST(many_signers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
