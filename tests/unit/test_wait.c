/* What handshakes wait for. System tests cover signatures and derivations themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>

#include "proxy/worker/core/wait.h"

#define COUNT 3

struct one_handshake {
    struct wait wait;
    struct step step;
};

struct fixture {
    struct loop loop;
    struct turn turn;
    struct heap_trim heap;
    _Atomic size_t connected;
    struct waits waits;
    struct one_handshake of[COUNT];
};

static void run(struct step *step)
{
    (void)step;
}

static int setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.turn = {.loop = &fixture.loop}, .waits = {.turn = &fixture.turn}};
    *state = &fixture;
    if (!loop_open(&fixture.loop))
        return -1;
    turn_init(&fixture.turn);
    heap_trim_init(&fixture.heap, &fixture.loop, &fixture.connected);
    waits_init(&fixture.waits, &fixture.heap);
    for (int i = 0; i < COUNT; i++) {
        step_init(&fixture.of[i].step, run);
        wait_init(&fixture.of[i].wait, &fixture.waits, &fixture.of[i].step, NULL, 0);
    }
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture->waits.fibers.paused, 0);
    loop_close(&fixture->loop);
    return 0;
}

static bool queued(const struct one_handshake *handshake)
{
    return list_linked(&handshake->step.node);
}

static void test_waits_for_its_client(void **state)
{
    struct fixture *fixture = *state;
    struct wait *wait = &fixture->of[0].wait;
    assert_false(wait_pending(wait));
    wait_note(wait, SSL_ERROR_WANT_READ);
    assert_false(wait_pending(wait));
    assert_false(wait_signed(wait));
    assert_false(queued(&fixture->of[0]));
}

static void test_fibers_go_to_who_waits_longest(void **state)
{
    struct fixture *fixture = *state;
    struct one_handshake *of = fixture->of;
    wait_note(&of[0].wait, SSL_ERROR_WANT_ASYNC_JOB);
    wait_note(&of[1].wait, SSL_ERROR_WANT_ASYNC_JOB);
    assert_true(wait_pending(&of[0].wait));
    assert_true(wait_pending(&of[1].wait));

    wait_note(&of[2].wait, SSL_ERROR_NONE); /* this frees its fiber */
    assert_int_equal(of[0].wait.what, AWAITS_FIBER);
    assert_true(of[0].wait.over);
    assert_false(wait_pending(&of[0].wait));
    assert_true(queued(&of[0]));
    assert_true(wait_pending(&of[1].wait));
    assert_false(queued(&of[1]));
}

static void test_fiber_of_one_that_ends_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct one_handshake *of = fixture->of;
    wait_note(&of[0].wait, SSL_ERROR_WANT_ASYNC_JOB);
    wait_note(&of[1].wait, SSL_ERROR_WANT_ASYNC_JOB);
    wait_note(&of[2].wait, SSL_ERROR_WANT_READ);
    assert_true(of[0].wait.over);
    wait_cancel(&of[0].wait, NULL); /* before its step has taken the fiber */
    assert_int_equal(of[0].wait.what, AWAITS_NOTHING);
    assert_true(of[1].wait.over);
    assert_true(queued(&of[1]));
}

static void test_one_that_ends_while_it_waits(void **state)
{
    struct fixture *fixture = *state;
    struct one_handshake *of = fixture->of;
    wait_note(&of[0].wait, SSL_ERROR_WANT_ASYNC_JOB);
    wait_note(&of[1].wait, SSL_ERROR_WANT_ASYNC_JOB);
    wait_cancel(&of[0].wait, NULL);
    assert_true(wait_pending(&of[1].wait)); /* no fiber has become free */
    wait_note(&of[2].wait, SSL_ERROR_SSL);
    assert_false(queued(&of[0]));
    assert_true(queued(&of[1]));
}

static void test_paused_for_a_signature(void **state)
{
    struct fixture *fixture = *state;
    struct one_handshake *of = fixture->of;
    wait_note(&of[0].wait, SSL_ERROR_WANT_ASYNC);
    assert_int_equal(of[0].wait.what, AWAITS_SIGNATURE);
    assert_true(wait_pending(&of[0].wait));
    assert_int_equal(fixture->waits.fibers.paused, 1);

    of[0].wait.signature.wake(&of[0].wait.signature);
    assert_false(wait_pending(&of[0].wait));
    assert_true(queued(&of[0]));
    assert_int_equal(fixture->waits.fibers.paused, 1); /* until libssl has taken the result */
    wait_note(&of[0].wait, SSL_ERROR_WANT_READ);
    assert_int_equal(of[0].wait.what, AWAITS_NOTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_waits_for_its_client, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fibers_go_to_who_waits_longest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fiber_of_one_that_ends_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_ends_while_it_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_paused_for_a_signature, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
