/* The backend `multibuffer` when crypto_mb is not there, is something else, or fails in a lane: no
 * wrong signature leaves, and what failed is signed again by libcrypto. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>

#include "crypto_mb_stand_in.h"
#include "multibuffer_fixture.h"

static struct fixture fixture;
static void *loaded;            /* the stand-in */
static struct stand_in *faults; /* its `stand_in` */

static int set_up(void **state)
{
    (void)state;
    loaded = dlopen(STAND_IN, RTLD_NOW);
    assert_non_null(loaded);
    faults = dlsym(loaded, "stand_in");
    assert_non_null(faults);
    fixture_make(&fixture);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_free(&fixture);
    return dlclose(loaded);
}

static int mend(void **state)
{
    (void)state;
    fixture_close(&fixture);
    faults->fault = STAND_IN_GOOD;
    return 0;
}

static void break_lane(enum stand_in_fault fault, unsigned lane)
{
    faults->fault = fault;
    faults->lane = lane;
}

static void sign(struct batch *batch)
{
    signer_sign_by(&fixture.signer, &backend_multibuffer, batch->jobs, batch->count);
}

/* All are good, and so many were signed again. */
static void assert_signed_again(const struct batch *batch, size_t expected)
{
    size_t again = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct job *job = batch->jobs[i];
        assert_int_equal(job->error, IMMURE_OK);
        assert_true(signature_good(job));
        assert_ptr_equal(job->backend, job->signed_again ? &backend_openssl : &backend_multibuffer);
        again += job->signed_again;
    }
    assert_int_equal(again, expected);
}

/* Ed25519 is made in two lanes, and so a broken one spoils two. */
static size_t spoiled(enum algorithm algorithm)
{
    return algorithm == ED25519 ? 2 : 1;
}

static void try_fault(enum algorithm algorithm, enum stand_in_fault fault)
{
    for (unsigned lane = 0; lane < LANES_WIDTH; lane++) {
        struct batch batch;
        batch_make(&batch, &fixture, algorithm, LANES_WIDTH);
        break_lane(fault, lane);
        sign(&batch);
        assert_signed_again(&batch, spoiled(algorithm));
        batch_free(&batch);
    }
}

static void test_each_fault_in_each_lane(void **state)
{
    (void)state;
    static const enum stand_in_fault kinds[] = {STAND_IN_STATUS, STAND_IN_WRONG, STAND_IN_SHORT,
                                                STAND_IN_NOTHING};
    assert_true(fixture_open(&fixture, STAND_IN));
    for (enum algorithm algorithm = 0; algorithm < ALGORITHMS; algorithm++) {
        if (algorithm == RSA_3072 || algorithm == RSA_4096) /* as RSA-2048, and slow */
            continue;
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
            try_fault(algorithm, kinds[i]);
    }
}

/* Such a signature, released, would give the key away. */
static void test_wrong_half(void **state)
{
    (void)state;
    assert_true(fixture_open(&fixture, STAND_IN));
    try_fault(RSA_2048, STAND_IN_WRONG_HALF);
}

/* Four jobs in eight lanes: whichever half is spoiled, only its job is signed again. Without a job
 * in the lane, none is. */
static void test_each_fault_in_each_half(void **state)
{
    (void)state;
    static const enum stand_in_fault kinds[] = {
        STAND_IN_STATUS, STAND_IN_WRONG, STAND_IN_WRONG_HALF, STAND_IN_SHORT, STAND_IN_NOTHING};
    assert_true(fixture_open(&fixture, STAND_IN));
    size_t halves = backend_multibuffer.step(&fixture.keys[RSA_2048][0]);
    assert_int_equal(halves, LANES_WIDTH / 2);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (unsigned lane = 0; lane < LANES_WIDTH; lane++)
            for (size_t count = 1; count <= halves; count++) {
                struct batch batch;
                batch_make(&batch, &fixture, RSA_2048, count);
                break_lane(kinds[i], lane);
                sign(&batch);
                assert_signed_again(&batch, lane % halves < count ? 1 : 0);
                for (size_t job = 0; job < count; job++)
                    assert_int_equal(batch.jobs[job]->signed_again, job == lane % halves);
                batch_free(&batch);
            }
}

/* The fault is in a lane that has no job. */
static void test_fault_in_an_empty_lane(void **state)
{
    (void)state;
    assert_true(fixture_open(&fixture, STAND_IN));
    break_lane(STAND_IN_WRONG, LANES_WIDTH - 1);
    struct batch batch;
    batch_make(&batch, &fixture, P256, 3);
    sign(&batch);
    assert_signed_again(&batch, 0);
    batch_free(&batch);
}

/* A lane that is broken when the tests at the start run: nothing is served. */
static void test_broken_from_the_start(void **state)
{
    (void)state;
    for (unsigned lane = 0; lane < LANES_WIDTH; lane++) {
        break_lane(STAND_IN_WRONG, lane);
        assert_false(fixture_open(&fixture, STAND_IN));
        assert_non_null(strstr(fixture.reason, "passes no known-answer test"));
        for (enum algorithm algorithm = 0; algorithm < ALGORITHMS; algorithm++)
            assert_false(fixture_serves(&fixture, algorithm));
    }
}

static void assert_not_opened(const char *library, const char *reason)
{
    assert_false(fixture_open(&fixture, library));
    if (strstr(fixture.reason, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", fixture.reason, reason);
    /* its threads can be made all the same, and do nothing */
    void *thread = backend_multibuffer.thread_new();
    assert_non_null(thread);
    backend_multibuffer.thread_free(thread);
}

static void test_no_lanes(void **state)
{
    (void)state;
    break_lane(STAND_IN_NO_LANES, 0);
    assert_not_opened(STAND_IN, "lacks AVX-512 IFMA");
}

static void test_not_there(void **state)
{
    (void)state;
    assert_not_opened("/nonexistent/libcrypto_mb.so.13", "/nonexistent/libcrypto_mb.so.13");
}

static void test_something_else(void **state)
{
    (void)state;
    assert_not_opened("libcrypto.so.3", "libcrypto.so.3 has no mbx_get_algo_info");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_each_fault_in_each_lane, mend),
        cmocka_unit_test_teardown(test_wrong_half, mend),
        cmocka_unit_test_teardown(test_each_fault_in_each_half, mend),
        cmocka_unit_test_teardown(test_fault_in_an_empty_lane, mend),
        cmocka_unit_test_teardown(test_broken_from_the_start, mend),
        cmocka_unit_test_teardown(test_no_lanes, mend),
        cmocka_unit_test_teardown(test_not_there, mend),
        cmocka_unit_test_teardown(test_something_else, mend),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
