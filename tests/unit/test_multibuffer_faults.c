/* The driver `multibuffer` when crypto_mb is missing, is some other library, or fails in a lane: no
 * wrong signature is released, and libcrypto repeats the failed ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>

#include "crypto_mb_stand_in.h"
#include "keyd/driver/multibuffer/lanes.h"
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

static void sign(const struct batch *batch)
{
    signer_sign_by(&fixture.signer, &fixture.multibuffer, batch->jobs, batch->count);
}

/* All signatures are valid, and this many were repeated. */
static void assert_signed_again(const struct batch *batch, size_t expected)
{
    size_t again = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct job *job = batch->jobs[i];
        assert_int_equal(job->error, IMMURE_OK);
        assert_true(signature_good(job));
        assert_ptr_equal(job->driver, job->signed_again ? &driver_openssl : &fixture.multibuffer);
        again += job->signed_again;
    }
    assert_int_equal(again, expected);
}

/* Signs without a fault, with the jobs in reverse order, so that each is in another lane later. */
static void sign_reversed(const struct batch *batch)
{
    struct batch reversed = {.count = batch->count};
    for (size_t i = 0; i < batch->count; i++)
        reversed.jobs[i] = batch->jobs[batch->count - 1 - i];
    faults->fault = STAND_IN_GOOD;
    sign(&reversed);
}

static void try_fault(enum algorithm algorithm, enum stand_in_fault fault)
{
    for (unsigned lane = 0; lane < LANES_WIDTH; lane++) {
        struct batch batch;
        batch_make(&batch, &fixture, algorithm, LANES_WIDTH);
        if (fault == STAND_IN_STALE)
            sign_reversed(&batch);
        break_lane(fault, lane);
        sign(&batch);
        assert_signed_again(&batch, 1);
        batch_free(&batch);
    }
}

static void test_each_fault_in_each_lane(void **state)
{
    (void)state;
    static const enum stand_in_fault kinds[] = {
        STAND_IN_STATUS, STAND_IN_WRONG,     STAND_IN_SHORT,   STAND_IN_NOTHING,
        STAND_IN_STALE,  STAND_IN_NEIGHBOUR, STAND_IN_MESSAGE, STAND_IN_KEY};
    assert_true(fixture_open(&fixture, STAND_IN));
    for (enum algorithm algorithm = 0; algorithm < ALGORITHMS; algorithm++) {
        if (algorithm == RSA_3072 || algorithm == RSA_4096) /* same code as RSA-2048, but slow */
            continue;
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
            try_fault(algorithm, kinds[i]);
    }
}

/* Such a signature would reveal the key if released. */
static void test_wrong_half(void **state)
{
    (void)state;
    assert_true(fixture_open(&fixture, STAND_IN));
    try_fault(RSA_2048, STAND_IN_WRONG_HALF);
}

/* A signature computed from a wrong k G satisfies its equation, and some of them reveal the key. */
static void test_wrong_base_point(void **state)
{
    (void)state;
    assert_true(fixture_open(&fixture, STAND_IN));
    try_fault(P256, STAND_IN_BASE_POINT);
    try_fault(P384, STAND_IN_BASE_POINT);
}

/* Without verification this fault alone goes undetected. */
static void test_wrong_base_point_unverified(void **state)
{
    (void)state;
    static const enum stand_in_fault seen[] = {STAND_IN_STATUS,  STAND_IN_WRONG, STAND_IN_SHORT,
                                               STAND_IN_NOTHING, STAND_IN_STALE, STAND_IN_NEIGHBOUR,
                                               STAND_IN_MESSAGE, STAND_IN_KEY};
    assert_true(fixture_open(&fixture, STAND_IN));
    for (size_t i = 0; i < KEYS_EACH; i++)
        fixture.keys[P256][i].unverified = fixture.keys[P384][i].unverified = true;
    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++) {
        try_fault(P256, seen[i]);
        try_fault(P384, seen[i]);
    }
    struct batch batch;
    batch_make(&batch, &fixture, P256, LANES_WIDTH);
    break_lane(STAND_IN_BASE_POINT, 3);
    sign(&batch);
    for (size_t i = 0; i < batch.count; i++)
        assert_int_equal(signature_good(batch.jobs[i]), i != 3);
    batch_free(&batch);
    for (size_t i = 0; i < KEYS_EACH; i++)
        fixture.keys[P256][i].unverified = fixture.keys[P384][i].unverified = false;
}

/* With a byte of one key's memory damaged, exactly the signatures of this key are repeated. */
static void try_damage(enum algorithm algorithm, size_t count, void *memory, size_t place)
{
    uint8_t *byte = (uint8_t *)memory + place;
    struct batch batch;
    batch_make(&batch, &fixture, algorithm, count);
    *byte ^= 0x10;
    sign(&batch);
    *byte ^= 0x10;
    size_t of_key = 0;
    for (size_t i = 0; i < count; i++) {
        bool damaged = batch.jobs[i]->key == &fixture.keys[algorithm][0];
        assert_int_equal(batch.jobs[i]->signed_again, damaged);
        of_key += damaged;
    }
    assert_signed_again(&batch, of_key);
    batch_free(&batch);
}

/* Damages each number that is prepared for the lanes, at both ends. */
static void test_damaged_key(void **state)
{
    (void)state;
    assert_true(fixture_open(&fixture, STAND_IN));
    struct lanes_key *rsa = fixture.keys[RSA_2048][0].prepared;
    uint64_t *const numbers[] = {rsa->rsa.p, rsa->rsa.q, rsa->rsa.dp, rsa->rsa.dq, rsa->rsa.iq};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        for (size_t place = 1; place < 128; place += 125)
            try_damage(RSA_2048, LANES_WIDTH, numbers[i], place);
    for (size_t i = 2; i < 4; i++) /* the exponents, by halves */
        try_damage(RSA_2048, LANES_WIDTH / 2, numbers[i], 9);
    struct lanes_key *p256 = fixture.keys[P256][0].prepared;
    struct lanes_key *p384 = fixture.keys[P384][0].prepared;
    struct lanes_key *ed25519 = fixture.keys[ED25519][0].prepared;
    for (size_t place = 0; place < 32; place += 31) {
        try_damage(P256, LANES_WIDTH, p256->ec, place);
        try_damage(P384, LANES_WIDTH, p384->ec, place + 16);
        try_damage(ED25519, LANES_WIDTH, ed25519->ed25519.private, place);
        /* the public key that is hashed with the message: a wrong one would leak the private key */
        try_damage(ED25519, LANES_WIDTH, ed25519->ed25519.public, place);
    }
}

/* Then libcrypto, which has its own copy, signs in place of the lanes. */
static void test_damaged_public_key(void **state)
{
    (void)state;
    static const enum algorithm by_spki[] = {P256, P384, ED25519};
    assert_true(fixture_open(&fixture, STAND_IN));
    for (size_t i = 0; i < sizeof by_spki / sizeof by_spki[0]; i++) {
        struct key *key = &fixture.keys[by_spki[i]][0];
        try_damage(by_spki[i], LANES_WIDTH, key->spki, key->spki_length - 1);
        try_damage(by_spki[i], LANES_WIDTH, key->spki, key->spki_length - 20);
    }
}

/* If the copy with which libcrypto verifies belongs to another key, no signature of this key is
 * released. */
static void test_damaged_copy(void **state)
{
    (void)state;
    assert_true(fixture_open(&fixture, STAND_IN));
    struct key *key = &fixture.keys[RSA_2048][0];
    EVP_PKEY *public = key->public;
    key->public = fixture.keys[RSA_2048][1].public;
    for (size_t count = LANES_WIDTH; count > 0; count /= 2) {
        struct batch batch;
        batch_make(&batch, &fixture, RSA_2048, count);
        sign(&batch);
        for (size_t i = 0; i < count; i++) {
            const struct job *job = batch.jobs[i];
            assert_int_equal(job->error, job->key == key ? IMMURE_E_SIGNING : IMMURE_OK);
            assert_int_equal(job->result_length, job->key == key ? 0 : key->signature_max);
        }
        batch_free(&batch);
    }
    key->public = public;
}

/* Four jobs in eight lanes: whichever half is faulty, only its job is repeated. If the lane has no
 * job, none is. */
static void test_each_fault_in_each_half(void **state)
{
    (void)state;
    static const enum stand_in_fault kinds[] = {
        STAND_IN_STATUS,  STAND_IN_WRONG, STAND_IN_WRONG_HALF, STAND_IN_SHORT,
        STAND_IN_NOTHING, STAND_IN_STALE, STAND_IN_MESSAGE,    STAND_IN_KEY};
    assert_true(fixture_open(&fixture, STAND_IN));
    size_t halves = fixture.multibuffer.small_width(&fixture.keys[RSA_2048][0]);
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

/* If a lane is broken during the tests at the start, nothing is served. */
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
    void *thread = fixture.multibuffer.thread_new(&fixture.multibuffer);
    assert_non_null(thread);
    fixture.multibuffer.thread_free(thread);
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
        cmocka_unit_test_teardown(test_wrong_base_point, mend),
        cmocka_unit_test_teardown(test_wrong_base_point_unverified, mend),
        cmocka_unit_test_teardown(test_damaged_key, mend),
        cmocka_unit_test_teardown(test_damaged_public_key, mend),
        cmocka_unit_test_teardown(test_damaged_copy, mend),
        cmocka_unit_test_teardown(test_each_fault_in_each_half, mend),
        cmocka_unit_test_teardown(test_fault_in_an_empty_lane, mend),
        cmocka_unit_test_teardown(test_broken_from_the_start, mend),
        cmocka_unit_test_teardown(test_no_lanes, mend),
        cmocka_unit_test_teardown(test_not_there, mend),
        cmocka_unit_test_teardown(test_something_else, mend),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
