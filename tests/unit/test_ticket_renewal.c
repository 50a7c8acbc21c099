/* What a thread does with its session ticket keys when their epoch ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>
#include <string.h>

#include "base/clock.h"
#include "proxy/worker/route/ticket_renewal.h"

static const struct ticket_keys first = {
    .current = {.name = "current", .aes = {1}, .hmac = {2}},
    .previous = {.name = "previous", .aes = {3}, .hmac = {4}},
};

struct fixture {
    struct loop loop;
    struct tickets tickets;
    struct ticket_renewal renewal;
};

/* The question is never sent, so immured never answers it. */
static void keep(struct ticket_renewal *renewal)
{
    loop_stop(renewal->loop);
}

static int setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.renewal = {.tickets = &fixture.tickets,
                                           .loop = &fixture.loop,
                                           .client = immure_client_new(NULL),
                                           .send = keep}};
    *state = &fixture;
    return fixture.renewal.client != NULL && loop_open(&fixture.loop) ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    immure_client_free(fixture->renewal.client);
    loop_close(&fixture->loop);
    return 0;
}

static void assert_keys(const struct fixture *fixture, const struct ticket_key *current,
                        const struct ticket_key *previous)
{
    assert_memory_equal(&fixture->tickets.keys.current, current, sizeof *current);
    assert_memory_equal(&fixture->tickets.keys.previous, previous, sizeof *previous);
}

static void test_within_the_epoch(void **state)
{
    struct fixture *fixture = *state;
    ticket_renewal_begin(&fixture->renewal, &first, clock_now() + 3600 * NS_PER_S);
    loop_look(&fixture->loop, 0);
    loop_run_timers(&fixture->loop);
    assert_keys(fixture, &first.current, &first.previous);
    assert_int_equal(immure_client_pending(fixture->renewal.client), 0);
}

static void test_the_previous_key_ends_before_the_answer(void **state)
{
    struct fixture *fixture = *state;
    ticket_renewal_begin(&fixture->renewal, &first, clock_now());
    loop_run(&fixture->loop);
    assert_int_equal(immure_client_pending(fixture->renewal.client), 1);
    assert_keys(fixture, &first.current, &first.current);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_within_the_epoch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_previous_key_ends_before_the_answer, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
