/*
 * The real QAT engine before the stand-in: it has instances, its jobs pause, many are in flight on
 * one thread, a full ring is tried again, and each fault of the device arrives as one.
 *
 *   test_qat_engine external    polled by the test; a readable descriptor says that a job can go on
 *   test_qat_engine callback    polled by the test; a callback says so
 *   test_qat_engine thread      polled by the engine's own thread
 *   test_qat_engine absent      without a device
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <openssl/async.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control.h"
#include "engine_key.h"

#define JOBS_MAX 32
#define LIMIT 10.0        /* seconds that anything may take */
#define LONG_DELAY 200000 /* microseconds in which all requests of a test are made */

enum key_kind { RSA_2048, P_256, P_384, KEY_KINDS };

static const struct mode {
    const char *name;
    bool polls, callback, absent;
} modes[] = {{.name = "external", .polls = true},
             {.name = "callback", .polls = true, .callback = true},
             {.name = "thread"},
             {.name = "absent", .polls = true, .absent = true}},
  *mode;
static struct control *control;
static ENGINE *engine;
static struct {
    EVP_PKEY *plain, *engine;
} keys[KEY_KINDS];

/* One operation with an engine's key, as an ASYNC job. */
struct job {
    int (*operation)(void *job);
    enum key_kind kind;
    char message[32];
    unsigned char signature[512]; /* or the secret derived */
    size_t length;
    bool done; /* as the engine says */
    ASYNC_JOB *async;
    ASYNC_WAIT_CTX *wait;
    int state;  /* what ASYNC_start_job returned */
    bool ready; /* what the callback said */
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool context_init(EVP_MD_CTX *context, EVP_PKEY *key, bool verify)
{
    EVP_PKEY_CTX *pkey;
    if (!(verify ? EVP_DigestVerifyInit : EVP_DigestSignInit)(context, &pkey, EVP_sha256(), NULL,
                                                              key))
        return false;
    return EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA ||
           (EVP_PKEY_CTX_set_rsa_padding(pkey, RSA_PKCS1_PSS_PADDING) > 0 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey, RSA_PSS_SALTLEN_DIGEST) > 0);
}

static int job_sign(void *argument)
{
    struct job *job = *(struct job **)argument;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    job->length = sizeof job->signature;
    job->done = context != NULL && context_init(context, keys[job->kind].engine, false) &&
                EVP_DigestSign(context, job->signature, &job->length,
                               (const unsigned char *)job->message, sizeof job->message) > 0;
    EVP_MD_CTX_free(context);
    return 1;
}

static bool verify(const struct job *job, EVP_PKEY *key)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL && context_init(context, key, true) &&
                EVP_DigestVerify(context, job->signature, job->length,
                                 (const unsigned char *)job->message, sizeof job->message) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}

/* Whether libcrypto accepts the result, with the plain key. */
static bool job_good(const struct job *job)
{
    return job->done && verify(job, keys[job->kind].plain);
}

/* Whether the engine accepts it. */
static int job_verify(void *argument)
{
    struct job *job = *(struct job **)argument;
    job->done = verify(job, keys[job->kind].engine);
    return 1;
}

static bool derive(struct job *job, EVP_PKEY *key)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    job->length = sizeof job->signature;
    bool good = context != NULL && EVP_PKEY_derive_init(context) > 0 &&
                EVP_PKEY_derive_set_peer(context, keys[job->kind].plain) > 0 &&
                EVP_PKEY_derive(context, job->signature, &job->length) > 0;
    EVP_PKEY_CTX_free(context);
    return good;
}

static int job_derive(void *argument)
{
    struct job *job = *(struct job **)argument;
    job->done = derive(job, keys[job->kind].engine);
    return 1;
}

/* There is no signature, and none is claimed. RSA: libcrypto takes the engine's 0 for a failure as
 * a successful signature of length 0. */
static bool job_failed(const struct job *job)
{
    return job->kind == RSA_2048 ? job->done && job->length == 0 : !job->done;
}

static void job_continue(struct job *job)
{
    int result;
    job->state = ASYNC_start_job(&job->async, job->wait, &result, job->operation, &job, sizeof job);
}

static int job_ready(void *job)
{
    ((struct job *)job)->ready = true;
    return 1;
}

static void job_begin(struct job *job)
{
    job->async = NULL;
    job->ready = false;
    job->wait = ASYNC_WAIT_CTX_new();
    if (mode->callback)
        assert_true(ASYNC_WAIT_CTX_set_callback(job->wait, job_ready, job));
    job_continue(job);
}

static void job_start(struct job *job, int (*operation)(void *job), enum key_kind kind)
{
    *job = (struct job){.operation = operation, .kind = kind};
    snprintf(job->message, sizeof job->message, "message %d of %p", (int)kind, (void *)job);
    job_begin(job);
}

/* There is a result, or the ring was full and may not be now. */
static bool job_can_continue(const struct job *job)
{
    if (mode->callback)
        return job->ready || ASYNC_WAIT_CTX_get_status(job->wait) == ASYNC_STATUS_EAGAIN;
    struct pollfd wait = {.events = POLLIN};
    size_t count = 1;
    assert_true(ASYNC_WAIT_CTX_get_all_fds(job->wait, NULL, &count));
    assert_int_equal(count, 1);
    assert_true(ASYNC_WAIT_CTX_get_all_fds(job->wait, &wait.fd, &count));
    return poll(&wait, 1, 0) == 1;
}

/* One turn of an event loop. True: some job is still waiting. */
static bool jobs_turn(struct job *jobs, size_t count)
{
    int status;
    if (mode->polls)
        assert_true(ENGINE_ctrl_cmd(engine, "POLL", 0, &status, NULL, 0));
    bool waits = false;
    for (size_t i = 0; i < count; i++) {
        if (jobs[i].state == ASYNC_PAUSE && job_can_continue(&jobs[i]))
            job_continue(&jobs[i]);
        waits = waits || jobs[i].state == ASYNC_PAUSE;
    }
    return waits;
}

static void jobs_finish(struct job *jobs, size_t count)
{
    double deadline = seconds() + LIMIT;
    while (jobs_turn(jobs, count))
        assert_true(seconds() < deadline);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(jobs[i].state, ASYNC_FINISH);
        ASYNC_WAIT_CTX_free(jobs[i].wait);
    }
    assert_int_equal(control->in_flight, 0);
    ERR_clear_error();
}

static void device_notice(void)
{
    int status;
    assert_true(ENGINE_ctrl_cmd(engine, "HEARTBEAT_POLL", 0, &status, NULL, 0));
}

/* Each test starts with a working device and zeroed counters. */
static int setup(void **state)
{
    (void)state;
    *control = (struct control){.instances = 2, .delay = 1000, .ring = 64};
    return 0;
}

static void test_instances(void **state)
{
    (void)state;
    int count = 0;
    assert_true(ENGINE_ctrl_cmd(engine, "GET_NUM_CRYPTO_INSTANCES", 0, &count, NULL, 0));
    assert_int_equal(count, 2);
}

static void test_job_pauses(void **state)
{
    (void)state;
    control->delay = LONG_DELAY;
    for (enum key_kind kind = 0; kind < KEY_KINDS; kind++) {
        struct job job;
        double start = seconds();
        job_start(&job, job_sign, kind);
        assert_int_equal(job.state, ASYNC_PAUSE);
        assert_int_equal(control->in_flight, 1);
        jobs_finish(&job, 1);
        assert_true(seconds() - start >= LONG_DELAY / 1e6);
        assert_true(job_good(&job));
    }
    assert_int_equal(control->answered, KEY_KINDS);
}

/* The other operations of an engine's key: RSA's public operation, and ECDH's point
 * multiplication. */
static void test_other_operations(void **state)
{
    (void)state;
    struct job job;
    job_start(&job, job_sign, RSA_2048);
    jobs_finish(&job, 1);
    for (int wrong = 0; wrong < 2; wrong++) {
        job.operation = job_verify;
        job.message[0] ^= (char)wrong;
        job_begin(&job);
        jobs_finish(&job, 1);
        assert_int_equal(job.done, !wrong);
    }
    struct job expected = {.kind = P_256};
    assert_true(derive(&expected, keys[P_256].plain));
    job_start(&job, job_derive, P_256);
    jobs_finish(&job, 1);
    assert_true(job.done);
    assert_int_equal(job.length, expected.length);
    assert_memory_equal(job.signature, expected.signature, job.length);
    assert_int_equal(control->answered, 4);
}

static void test_without_a_job_it_waits(void **state)
{
    (void)state;
    if (mode->polls)
        skip(); /* nobody would poll */
    struct job job = {.kind = RSA_2048}, *argument = &job;
    job_sign(&argument);
    assert_true(job_good(&job));
    assert_int_equal(control->answered, 1);
}

static void test_many_in_flight_on_one_thread(void **state)
{
    (void)state;
    control->delay = LONG_DELAY;
    struct job jobs[JOBS_MAX];
    for (size_t i = 0; i < JOBS_MAX; i++)
        job_start(&jobs[i], job_sign, i % KEY_KINDS);
    assert_int_equal(control->most_in_flight, JOBS_MAX);
    jobs_finish(jobs, JOBS_MAX);
    for (size_t i = 0; i < JOBS_MAX; i++)
        assert_true(job_good(&jobs[i]));
    assert_int_equal(control->answered, JOBS_MAX);
}

static void test_full_ring_is_tried_again(void **state)
{
    (void)state;
    control->ring = 2;
    struct job jobs[JOBS_MAX];
    for (size_t i = 0; i < JOBS_MAX; i++)
        job_start(&jobs[i], job_sign, i % KEY_KINDS);
    assert_true(control->full > 0);
    jobs_finish(jobs, JOBS_MAX);
    assert_true(control->most_in_flight <= 4); /* two instances */
    for (size_t i = 0; i < JOBS_MAX; i++)
        assert_true(job_good(&jobs[i]));
}

/* The engine passes wrong results on, so its caller must verify them. */
static void test_wrong_results(void **state)
{
    (void)state;
    const enum fault faults[] = {FAULT_RESULT, FAULT_LENGTH};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        for (enum key_kind kind = 0; kind < KEY_KINDS; kind++) {
            control->fault = faults[i];
            control->faults = 1;
            struct job jobs[2];
            job_start(&jobs[0], job_sign, kind);
            job_start(&jobs[1], job_sign, kind);
            jobs_finish(jobs, 2);
            assert_true(jobs[0].done && jobs[1].done);
            assert_int_equal(job_good(&jobs[0]) + job_good(&jobs[1]), 1);
        }
    assert_int_equal(control->faulted, 2 * KEY_KINDS);
}

static void test_failure(void **state)
{
    (void)state;
    control->fault = FAULT_FAILURE;
    control->faults = KEY_KINDS;
    for (enum key_kind kind = 0; kind < KEY_KINDS; kind++) {
        struct job job;
        job_start(&job, job_sign, kind);
        jobs_finish(&job, 1);
        assert_true(job_failed(&job));
    }
    assert_int_equal(control->faulted, KEY_KINDS);
}

static void test_gone_in_mid_flight(void **state)
{
    (void)state;
    if (!mode->polls)
        skip(); /* its thread asks for events only if the engine falls back by itself */
    struct job jobs[JOBS_MAX];
    for (size_t i = 0; i < JOBS_MAX; i++)
        job_start(&jobs[i], job_sign, i % KEY_KINDS);
    control->gone = 1;
    for (double end = seconds() + 0.02; seconds() < end;)
        assert_true(jobs_turn(jobs, JOBS_MAX)); /* nothing comes, and nothing says why */
    assert_int_equal(control->in_flight, JOBS_MAX);
    device_notice();
    jobs_finish(jobs, JOBS_MAX);
    for (size_t i = 0; i < JOBS_MAX; i++)
        assert_true(job_failed(&jobs[i]));

    job_start(&jobs[0], job_sign, RSA_2048);
    assert_int_equal(jobs[0].state, ASYNC_FINISH); /* refused at once */
    jobs_finish(jobs, 1);
    assert_true(job_failed(&jobs[0]));
    assert_int_equal(control->refused, 1);

    control->gone = 0;
    device_notice();
    job_start(&jobs[0], job_sign, RSA_2048);
    assert_int_equal(jobs[0].state, ASYNC_PAUSE);
    jobs_finish(jobs, 1);
    assert_true(job_good(&jobs[0]));
}

/* The engine also starts without a device, and silently signs in software. */
static void test_absent(void **state)
{
    (void)state;
    int count = 0;
    assert_false(ENGINE_ctrl_cmd(engine, "GET_NUM_CRYPTO_INSTANCES", 0, &count, NULL, 0));
    for (enum key_kind kind = 0; kind < KEY_KINDS; kind++) {
        struct job job;
        job_start(&job, job_sign, kind);
        assert_int_equal(job.state, ASYNC_FINISH);
        jobs_finish(&job, 1);
        assert_true(job_good(&job));
    }
    assert_int_equal(control->submitted, 0);
}

/* Maps a file for the stand-in, which reads its name when the engine is loaded. */
static void control_make(void)
{
    char path[] = "/tmp/qat-control-XXXXXX";
    int file = mkstemp(path);
    if (file < 0 || ftruncate(file, sizeof *control) != 0 || setenv(CONTROL_VARIABLE, path, 1) != 0)
        exit(EXIT_FAILURE);
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (control == MAP_FAILED)
        exit(EXIT_FAILURE);
    setup(NULL);
    if (mode->absent)
        control->instances = 0;
}

static ENGINE *engine_start(void)
{
    ENGINE_load_dynamic();
    ENGINE *found = ENGINE_by_id("qatengine");
    unlink(getenv(CONTROL_VARIABLE)); /* it is mapped by now */
    if (found == NULL)
        return NULL;
    /* no cores of Intel's in the place of a device */
    if (!ENGINE_ctrl_cmd_string(found, "SW_ALGO_BITMAP", "0", 0) ||
        (mode->polls && !ENGINE_ctrl_cmd_string(found, "ENABLE_EXTERNAL_POLLING", NULL, 0)) ||
        !ENGINE_init(found))
        exit(EXIT_FAILURE);
    return found;
}

static int group_setup(void **state)
{
    (void)state;
    keys[RSA_2048].plain = EVP_RSA_gen(2048);
    keys[P_256].plain = EVP_EC_gen("P-256");
    keys[P_384].plain = EVP_EC_gen("P-384");
    for (enum key_kind kind = 0; kind < KEY_KINDS; kind++) {
        keys[kind].engine = engine_key(engine, keys[kind].plain);
        assert_non_null(keys[kind].engine);
    }
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    for (enum key_kind kind = 0; kind < KEY_KINDS; kind++) {
        EVP_PKEY_free(keys[kind].plain);
        EVP_PKEY_free(keys[kind].engine);
    }
    assert_true(ENGINE_finish(engine));
    assert_true(ENGINE_free(engine));
    return 0;
}

int main(int count, char **arguments)
{
    for (size_t i = 0; count == 2 && i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(arguments[1], modes[i].name) == 0)
            mode = &modes[i];
    if (mode == NULL) {
        fprintf(stderr, "usage: test_qat_engine external|callback|thread|absent\n");
        return 2;
    }
    control_make();
    engine = engine_start();
    if (engine == NULL) {
        printf("SKIPPED: libcrypto has no engine \"qatengine\"\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_instances, setup),
        cmocka_unit_test_setup(test_job_pauses, setup),
        cmocka_unit_test_setup(test_other_operations, setup),
        cmocka_unit_test_setup(test_without_a_job_it_waits, setup),
        cmocka_unit_test_setup(test_many_in_flight_on_one_thread, setup),
        cmocka_unit_test_setup(test_full_ring_is_tried_again, setup),
        cmocka_unit_test_setup(test_wrong_results, setup),
        cmocka_unit_test_setup(test_failure, setup),
        cmocka_unit_test_setup(test_gone_in_mid_flight, setup),
    };
    const struct CMUnitTest absent[] = {cmocka_unit_test_setup(test_absent, setup)};
    if (mode->absent)
        return cmocka_run_group_tests(absent, group_setup, group_teardown);
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
