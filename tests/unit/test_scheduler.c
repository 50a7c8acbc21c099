/* Who signs what: kinds, the crew of threads, and the scheduler between them and the queue, with
 * fake drivers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <poll.h>
#include <semaphore.h>

#include "base/clock.h"
#include "keyd/sign/scheduler.h"

#include "arena_fixture.h"

#define THREADS 2
#define LANES 8
#define QUICK (20 * NS_PER_US) /* quick enough for the event loop */
#define IN_A_TURN (QUEUE_LOOP_TIME / QUICK)

static sem_t gate;    /* the driver `gated` waits for it */
static uint64_t spin; /* ns for one signature of `cheap` */

static void *thread_new(const struct driver *driver)
{
    (void)driver;
    return malloc(1);
}

static size_t width_one(const struct driver *driver, const struct key *key)
{
    (void)driver;
    return key->type == WIRE_KEY_EC ? LANES : 1;
}

static size_t width_lanes(const struct driver *driver, const struct key *key)
{
    (void)driver;
    return key->bits == 2048 ? LANES : 0;
}

static void sign_now(const struct driver *driver, void *thread, struct job *const *batch,
                     size_t count)
{
    (void)driver, (void)thread;
    for (size_t i = 0; i < count; i++) {
        batch[i]->result_length = batch[i]->key->signature_max;
        batch[i]->verified = true;
    }
}

static void sign_through_gate(const struct driver *driver, void *thread, struct job *const *batch,
                              size_t count)
{
    while (sem_wait(&gate) != 0)
        continue;
    sign_now(driver, thread, batch, count);
}

/* Takes the time `spin` for each signature. */
static void sign_quickly(const struct driver *driver, void *thread, struct job *const *batch,
                         size_t count)
{
    for (uint64_t until = clock_now() + count * spin; clock_now() < until;)
        continue;
    sign_now(driver, thread, batch, count);
}

static bool prepare(const struct driver *driver, struct key *key)
{
    (void)driver;
    return key->name == NULL; /* it supports only keys without a name */
}

static const struct driver cheap = {.name = "cheap",
                                    .number = 1,
                                    .width = width_one,
                                    .thread_new = thread_new,
                                    .thread_free = free,
                                    .sign = sign_quickly};
static const struct driver gated = {.name = "gated",
                                    .number = 2,
                                    .waits = true,
                                    .width = width_one,
                                    .thread_new = thread_new,
                                    .thread_free = free,
                                    .sign = sign_through_gate};
static const struct driver lanes = {.name = "lanes",
                                    .number = 3,
                                    .lanes = true,
                                    .width = width_lanes,
                                    .key_prepare = prepare,
                                    .thread_new = thread_new,
                                    .thread_free = free,
                                    .sign = sign_through_gate};
static const struct driver *const drivers[] = {&driver_openssl, &cheap, &gated, &lanes, NULL};

struct fixture {
    struct kinds kinds;
    struct key p256, waiting, rsa; /* by `cheap`, by `gated`, by `lanes` */
    struct signer signer;
    struct scheduler scheduler;
    struct account_share account;
    struct queue_session session;
    struct list done;
    uint64_t now;
};

static void add(struct fixture *fixture, struct key *key, const struct driver *wanted,
                uint64_t single_ns)
{
    char reason[128] = "";
    if (!kinds_add_key(&fixture->kinds, key, wanted, reason, sizeof reason))
        fail_msg("%s", reason);
    struct kind *kind = &fixture->kinds.kinds[key->kind->index];
    kind_measured(kind, single_ns);
    kind->small_ns = kind->batch_ns = 3 * NS_PER_MS;
    if (kind->batch != NULL)
        kind->threshold = 3;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    *state = fixture;
    sem_init(&gate, 0, 0);
    fixture->kinds.drivers = drivers;
    fixture->p256 = (struct key){.type = WIRE_KEY_EC, .bits = 256, .signature_max = 80};
    fixture->waiting = fixture->p256;
    fixture->rsa = (struct key){.type = WIRE_KEY_RSA, .bits = 2048, .signature_max = 256};
    add(fixture, &fixture->p256, &cheap, QUICK);
    add(fixture, &fixture->waiting, &gated, QUICK);
    add(fixture, &fixture->rsa, &lanes, NS_PER_MS);
    assert_true(signer_init(&fixture->signer, drivers));
    fixture->scheduler.signer = &fixture->signer;
    fixture->scheduler.crew = crew_start(drivers, THREADS, true);
    assert_non_null(fixture->scheduler.crew);
    queue_init(&fixture->scheduler.queue, &fixture->kinds, 10 * NS_PER_S, THREADS, 0);
    account_share_open(&fixture->account, &fixture->scheduler.queue.share);
    assert_true(
        queue_open_session(&fixture->scheduler.queue, &fixture->session, &fixture->account));
    list_init(&fixture->done);
    fixture->now = NS_PER_S;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 2 * THREADS; i++)
        sem_post(&gate);
    scheduler_stop(&fixture->scheduler);
    queue_close_session(&fixture->session);
    account_share_close(&fixture->account);
    for (struct list *node; (node = list_take(&fixture->done)) != NULL;)
        job_free(list_entry(node, struct job, queue_node));
    free(fixture);
    return 0;
}

static struct job *new_job(const struct key *key)
{
    static const uint8_t message[1];
    const struct wire_scheme *scheme = wire_scheme_find(
        key->type == WIRE_KEY_EC ? IMMURE_ECDSA_SHA256 : IMMURE_RSA_PSS_RSAE_SHA256);
    struct job *job = job_new(key, scheme, message, sizeof message);
    assert_non_null(job);
    return job;
}

static void submit(struct fixture *fixture, const struct key *key, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct job *job = new_job(key);
        assert_true(queue_submit(&fixture->scheduler.queue, job, &fixture->session, fixture->now));
    }
}

/* Runs the scheduler once, and returns how many jobs it has finished. */
static size_t run(struct fixture *fixture)
{
    size_t count = 0;
    scheduler_run(&fixture->scheduler, fixture->now, &fixture->done);
    for (struct list *node; (node = list_take(&fixture->done)) != NULL; count++) {
        struct job *job = list_entry(node, struct job, queue_node);
        assert_int_equal(job->error, IMMURE_OK);
        assert_int_equal(job->result_length, job->key->signature_max);
        job_free(job);
    }
    return count;
}

/* Opens the gate for one batch and returns how many jobs were in it. */
static size_t let_one_through(struct fixture *fixture)
{
    struct pollfd wake = {.fd = crew_wake(fixture->scheduler.crew), .events = POLLIN};
    sem_post(&gate);
    assert_int_equal(poll(&wake, 1, 10000), 1);
    crew_woken(fixture->scheduler.crew);
    return run(fixture);
}

static void kinds_are_shared_and_chosen(void **state)
{
    struct fixture *fixture = *state;
    char reason[128];
    struct key second = fixture->rsa, named = fixture->rsa, large = fixture->rsa;
    assert_true(kinds_add_key(&fixture->kinds, &second, &lanes, reason, sizeof reason));
    assert_ptr_equal(second.kind, fixture->rsa.kind);
    assert_ptr_equal(second.kind->batch, &lanes);
    assert_ptr_equal(second.kind->single, &driver_openssl);
    assert_ptr_equal(fixture->waiting.kind->single, &gated);
    assert_int_equal(fixture->p256.kind->cost, COST_QUICK);
    assert_int_equal(fixture->waiting.kind->cost, COST_CHEAP); /* not on the event loop */

    named.name = (char *)"named";
    assert_false(kinds_add_key(&fixture->kinds, &named, &lanes, reason, sizeof reason));
    assert_string_equal(reason, "the backend lanes does not serve this key");
    assert_true(kinds_add_key(&fixture->kinds, &named, NULL, reason, sizeof reason));
    assert_null(named.kind->batch);

    large.bits = 8192;
    assert_false(kinds_add_key(&fixture->kinds, &large, &lanes, reason, sizeof reason));
    assert_string_equal(reason, "the backend lanes does not serve such keys here");
    for (large.bits = 8193; kinds_add_key(&fixture->kinds, &large, NULL, reason, sizeof reason);)
        large.bits++;
    assert_string_equal(reason, "more than 32 kinds of keys are configured");
}

static void kinds_have_the_names_of_the_field(void **state)
{
    (void)state;
    static const struct {
        enum wire_key_type type;
        int bits;
        const char *name;
    } rows[] = {
        {WIRE_KEY_RSA, 2048, "RSA-2048"},
        {WIRE_KEY_RSA_PSS, 3072, "RSA-PSS-3072"},
        {WIRE_KEY_EC, 256, "P-256"},
        {WIRE_KEY_EC, 521, "P-521"},
        {WIRE_KEY_ED25519, 256, "Ed25519"},
        {WIRE_KEY_MLDSA44, 10496, "ML-DSA-44"},
        {WIRE_KEY_MLDSA65, 15616, "ML-DSA-65"},
        {WIRE_KEY_MLDSA87, 20736, "ML-DSA-87"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[32];
        kind_describe(&(struct kind){.type = rows[i].type, .bits = rows[i].bits}, name,
                      sizeof name);
        assert_string_equal(name, rows[i].name);
    }
}

static void a_few_quick_ones_are_signed_at_once(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, &fixture->p256, 5);
    assert_int_equal(scheduler_deadline(&fixture->scheduler, fixture->now), fixture->now);
    assert_int_equal(run(fixture), 5);
    assert_int_equal(fixture->scheduler.batches, 1);
    assert_int_equal(fixture->scheduler.lane_batches, 0);
    assert_int_equal(scheduler_deadline(&fixture->scheduler, fixture->now), UINT64_MAX);
}

static void of_many_quick_ones_threads_take_their_part(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, &fixture->p256, LANES * (THREADS + 1));
    size_t done = run(fixture);
    /* Each thread has a batch; a slow event loop leaves a part of its own for the next turn. */
    assert_in_range(done, 1, LANES);
    assert_int_equal(fixture->scheduler.queue.share.jobs, LANES - done);
    while (done < LANES * (THREADS + 1)) {
        struct pollfd wake = {.fd = crew_wake(fixture->scheduler.crew), .events = POLLIN};
        assert_int_equal(poll(&wake, 1, 10000), 1);
        crew_woken(fixture->scheduler.crew);
        done += run(fixture);
    }
    assert_int_equal(done, LANES * (THREADS + 1));
}

static void what_waits_when_a_thread_is_free_is_one_batch(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, &fixture->rsa, 3);
    assert_int_equal(run(fixture), 0);
    assert_int_equal(fixture->scheduler.queue.share.jobs, 0);
    submit(fixture, &fixture->rsa, 4);
    assert_int_equal(run(fixture), 0);
    submit(fixture, &fixture->rsa, 20);
    assert_int_equal(run(fixture), 0);
    assert_int_equal(fixture->scheduler.queue.share.jobs, 20);
    size_t batches[LANES + 1] = {
        0}; /* how many of so many jobs; whose turn it is is the kernel's choice */
    for (int i = 0; i < 5; i++)
        batches[let_one_through(fixture)]++;
    assert_int_equal(batches[3], 1);
    assert_int_equal(batches[4], 2);
    assert_int_equal(batches[LANES], 2);
    assert_int_equal(fixture->scheduler.lane_batches, 5);
    assert_int_equal(fixture->scheduler.lanes_filled, 27);
}

static void quick_ones_pass_while_all_threads_are_busy(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, &fixture->waiting, 2 * LANES);
    assert_int_equal(run(fixture), 0);
    submit(fixture, &fixture->p256, 20);
    size_t done = run(fixture);
    assert_true(done >= IN_A_TURN);
    while (scheduler_deadline(&fixture->scheduler, fixture->now) == fixture->now)
        done += run(fixture);
    if (done < 20) { /* the express has helped with one */
        struct pollfd wake = {.fd = crew_wake(fixture->scheduler.crew), .events = POLLIN};
        assert_int_equal(poll(&wake, 1, 10000), 1);
        crew_woken(fixture->scheduler.crew);
        done += run(fixture);
    }
    assert_int_equal(done, 20);
}

/* A kind that was wrongly measured as quick delays the event loop by one batch, and no more. */
static void the_event_loop_signs_for_its_time_only(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, &fixture->waiting, 2 * LANES);
    assert_int_equal(run(fixture), 0);
    spin = 2 * QUICK;
    submit(fixture, &fixture->p256, 4 * IN_A_TURN);
    for (size_t turn = 0; turn < 3; turn++)
        assert_in_range(run(fixture), IN_A_TURN, IN_A_TURN + 1); /* one may be the express's */
    spin = 0;
}

/* The express helps while all threads are held up, and not before. */
static void the_express_steps_in(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, &fixture->rsa, (THREADS + 2) * LANES);
    assert_int_equal(run(fixture), 0);
    assert_int_equal(fixture->scheduler.queue.share.jobs, 2 * LANES);
    uint64_t deadline = scheduler_deadline(&fixture->scheduler, fixture->now);
    assert_true(deadline > fixture->now + 3 * NS_PER_MS && deadline < fixture->now + NS_PER_S);
    fixture->now = deadline - 1;
    assert_int_equal(run(fixture), 0);
    assert_int_equal(fixture->scheduler.queue.share.jobs, 2 * LANES);
    fixture->now = deadline;
    assert_int_equal(run(fixture), 0);
    assert_int_equal(fixture->scheduler.queue.share.jobs, LANES);
    /* the express is busy now, and there is only one */
    fixture->now += NS_PER_S;
    assert_int_equal(run(fixture), 0);
    assert_int_equal(fixture->scheduler.queue.share.jobs, LANES);
    for (size_t i = 0; i < THREADS + 2; i++)
        assert_int_equal(let_one_through(fixture), LANES);
}

static void what_is_held_is_not_looked_for_before_its_time(void **state)
{
    struct fixture *fixture = *state;
    struct scheduler *scheduler = &fixture->scheduler;
    scheduler->queue.hold = NS_PER_S;
    submit(fixture, &fixture->rsa, THREADS * LANES);
    assert_int_equal(run(fixture), 0);
    assert_int_equal(scheduler->queue.share.jobs, 0);
    fixture->now += NS_PER_S; /* the threads are held up, and the express is free */
    submit(fixture, &fixture->rsa, LANES / 2);
    assert_int_equal(run(fixture), 0);
    assert_int_equal(scheduler->queue.share.jobs, LANES / 2);
    uint64_t released = fixture->now + NS_PER_S;
    assert_int_equal(scheduler_deadline(scheduler, fixture->now), released);
    fixture->now = released;
    assert_int_equal(run(fixture), 0);
    assert_int_equal(scheduler->queue.share.jobs, 0);
}

static void the_express_takes_one_to_whom_it_is_owed(void **state)
{
    struct fixture *fixture = *state;
    struct queue_session other;
    assert_true(queue_open_session(&fixture->scheduler.queue, &other, &fixture->account));
    submit(fixture, &fixture->rsa, (THREADS + 2) * LANES);
    assert_int_equal(run(fixture), 0);
    assert_int_equal(fixture->scheduler.queue.share.jobs, 2 * LANES);
    struct job *one = new_job(&fixture->rsa);
    assert_true(queue_submit(&fixture->scheduler.queue, one, &other, fixture->now));
    assert_int_equal(run(fixture), 0);
    assert_int_equal(fixture->scheduler.queue.share.jobs, 2 * LANES);
    /* libcrypto signs this job alone, with an empty key */
    struct pollfd wake = {.fd = crew_wake(fixture->scheduler.crew), .events = POLLIN};
    assert_int_equal(poll(&wake, 1, 10000), 1);
    crew_woken(fixture->scheduler.crew);
    scheduler_run(&fixture->scheduler, fixture->now, &fixture->done);
    assert_int_equal(fixture->scheduler.batches, 1);
    assert_int_equal(fixture->scheduler.lane_batches, 0);
    assert_ptr_equal(list_take(&fixture->done), &one->queue_node);
    assert_true(list_empty(&fixture->done));
    assert_int_equal(one->error, IMMURE_E_SIGNING);
    job_free(one);
    queue_close_session(&other);
}

static void what_is_being_signed_at_the_end_is_freed(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, &fixture->rsa, (THREADS + 1) * LANES);
    assert_int_equal(run(fixture), 0); /* LeakSanitizer does the rest of this test */
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(kinds_are_shared_and_chosen),
        TEST(kinds_have_the_names_of_the_field),
        TEST(a_few_quick_ones_are_signed_at_once),
        TEST(of_many_quick_ones_threads_take_their_part),
        TEST(what_waits_when_a_thread_is_free_is_one_batch),
        TEST(quick_ones_pass_while_all_threads_are_busy),
        TEST(the_event_loop_signs_for_its_time_only),
        TEST(the_express_steps_in),
        TEST(what_is_held_is_not_looked_for_before_its_time),
        TEST(the_express_takes_one_to_whom_it_is_owed),
        TEST(what_is_being_signed_at_the_end_is_freed),
    };
    return cmocka_run_group_tests(tests, arena_make, NULL);
}
