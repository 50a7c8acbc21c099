/* Cancelling, deadlines, bounds and callbacks that ask and cancel, in the sans-I/O core. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "link.h"

static void test_cancel_unsent(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    immure_request_id id = link_ask(link, &told, 0);
    immure_request_cancel(link->client, id);
    assert_int_equal(immure_client_pending(link->client), 0);
    immure_request_cancel(link->client, id);
    link_take(link);
    assert_int_equal(link->peer.count, 0);
    assert_int_equal(told.calls, 0);
}

static void test_cancel_sent(void **state)
{
    struct link *link = *state;
    struct told told = {0}, other = {0};
    immure_request_id id = link_ask(link, &told, 0), kept = link_ask(link, &other, 0);
    link_take(link);
    immure_request_cancel(link->client, id);
    immure_request_cancel(link->client, id);
    assert_int_equal(immure_client_pending(link->client), 1);
    link_take(link);
    assert_int_equal(link->peer.count, 3);
    assert_int_equal(link->peer.requests[2].type, WIRE_CANCEL);
    assert_int_equal(link->peer.requests[2].id, id);
    peer_say_error(&link->peer, id, IMMURE_E_CANCELLED, "cancelled");
    link_answer(link, 1);
    peer_say_error(&link->peer, id, IMMURE_E_CANCELLED, "twice"); /* unknown by now: ignored */
    link_give(link);
    assert_int_equal(told.calls, 0);
    link_assert_signed(&other, kept);
}

static void test_cancel_crosses_the_reply(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    immure_request_id id = link_ask(link, &told, 0);
    link_take(link);
    link_answer(link, 0);
    immure_request_cancel(link->client, id);
    link_give(link);
    assert_int_equal(told.calls, 0);
    link_take(link); /* nothing is left to be cancelled */
    assert_int_equal(link->peer.count, 1);
    immure_request_cancel(link->client, id);
    immure_request_cancel(link->client, 0);
    immure_request_cancel(link->client, UINT64_MAX);
    assert_int_equal(immure_client_pending(link->client), 0);
}

static void test_cancelled_are_not_replayed(void **state)
{
    struct link *link = *state;
    struct told told[3] = {0};
    immure_request_id ids[3];
    for (size_t i = 0; i < 3; i++)
        ids[i] = link_ask(link, &told[i], 0);
    link_take(link);
    immure_request_cancel(link->client, ids[0]);
    link_take(link);                             /* its CANCEL is sent, */
    immure_request_cancel(link->client, ids[1]); /* and this one's is not */
    link_lose(link);
    link_take(link);
    assert_int_equal(link->peer.count, 1);
    assert_int_equal(link->peer.requests[0].id, ids[2]);
    link_end(link);
}

static void test_cancel_storm_stays_within_bounds(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    struct immure_request request = sign_request(&told, 0);
    immure_client_free(link->client);
    link->client = immure_client_new(&(struct immure_client_options){.max_requests = 10});
    size_t made = 0;
    for (int i = 0; i < 1000; i++) {
        immure_request_id id;
        if (immure_request_submit(link->client, &request, &id) == IMMURE_OK) {
            made++;
            link_take(link);
            immure_request_cancel(link->client, id);
        }
    }
    assert_int_equal(made, 10);
    assert_int_equal(immure_client_pending(link->client), 0);
    for (size_t i = 0; i < 10; i++)
        peer_say_error(&link->peer, link->peer.requests[2 * i].id, IMMURE_E_CANCELLED, "");
    link_give(link);
    for (size_t i = 0; i < 10; i++)
        link_ask(link, &told, 0);
    assert_int_equal(immure_request_submit(link->client, &request, NULL), IMMURE_E_FULL);
    link_end(link);
}

static void test_ids_are_never_used_twice(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    immure_request_id last = 0;
    for (int i = 0; i < 1000; i++) {
        immure_request_id id = link_ask(link, &told, 0);
        assert_true(id > last); /* one slot, so a later id is a higher one */
        last = id;
        immure_request_cancel(link->client, id);
    }
}

static void test_bounds(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    static const uint8_t long_message[IMMURE_MESSAGE_MAX + 1];
    struct immure_request request = sign_request(&told, 0);
    request.input = long_message;
    request.input_length = IMMURE_MESSAGE_MAX + 1;
    assert_int_equal(immure_request_submit(link->client, &request, NULL), IMMURE_E_ARGUMENT);
    request.input_length = 0;
    assert_int_equal(immure_request_submit(link->client, &request, NULL), IMMURE_E_ARGUMENT);
    request.input_length = 1;
    request.callback = NULL;
    assert_int_equal(immure_request_submit(link->client, &request, NULL), IMMURE_E_ARGUMENT);
    request.callback = on_signed;
    request.operation = IMMURE_DECRYPT;
    request.input_length = IMMURE_CIPHERTEXT_MAX + 1;
    assert_int_equal(immure_request_submit(link->client, &request, NULL), IMMURE_E_ARGUMENT);
    request.operation = IMMURE_SIGN;
    static const enum immure_operation without_input[] = {IMMURE_LIST, IMMURE_STATS, IMMURE_PING,
                                                          IMMURE_TICKET_KEYS};
    for (size_t i = 0; i < sizeof without_input / sizeof without_input[0]; i++) {
        struct immure_request other = {.operation = without_input[i]};
        assert_int_equal(immure_request_submit(link->client, &other, NULL), IMMURE_E_ARGUMENT);
        other.callback = on_reply;
        other.input = message;
        other.input_length = 1;
        assert_int_equal(immure_request_submit(link->client, &other, NULL), IMMURE_E_ARGUMENT);
    }
    for (int operation = 0; operation < 256; operation++) /* HELLO and CANCEL are none */
        if (operation < IMMURE_LIST || operation > IMMURE_TICKET_KEYS || operation == WIRE_CANCEL)
            assert_int_equal(
                link_submit(link, (enum immure_operation)operation, on_reply, &told, NULL),
                IMMURE_E_ARGUMENT);
    assert_int_equal(immure_client_pending(link->client), 0);

    immure_client_free(link->client);
    link->client = immure_client_new(
        &(struct immure_client_options){.max_requests = 3, .max_bytes = IMMURE_MESSAGE_MAX + 5});
    request.input_length = IMMURE_MESSAGE_MAX;
    assert_int_equal(immure_request_submit(link->client, &request, NULL), IMMURE_OK);
    assert_int_equal(immure_request_submit(link->client, &request, NULL), IMMURE_E_FULL);
    request.input_length = 5;
    assert_int_equal(immure_request_submit(link->client, &request, NULL), IMMURE_OK);
    assert_int_equal(link_submit(link, IMMURE_PING, on_reply, &told, NULL), IMMURE_OK);
    assert_int_equal(link_submit(link, IMMURE_PING, on_reply, &told, NULL), IMMURE_E_FULL);
    link_take(link);
    assert_int_equal(link->peer.count, 3);
    assert_int_equal(link->peer.requests[0].message_length, IMMURE_MESSAGE_MAX);
    link_end(link);
}

static void test_most_requests_there_can_be(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    immure_client_free(link->client);
    link->client = immure_client_new(
        &(struct immure_client_options){.max_requests = SIZE_MAX, .max_bytes = SIZE_MAX});
    size_t made = 0;
    while (link_submit(link, IMMURE_PING, on_reply, &told, NULL) == IMMURE_OK)
        made++;
    assert_int_equal(made, 65535);
    assert_int_equal(immure_client_pending(link->client), made);
    link_end(link);
    assert_int_equal(told.calls, made);
    assert_int_equal(told.error, IMMURE_E_CLOSED);
}

static void test_deadlines(void **state)
{
    struct link *link = *state;
    struct told early = {0}, late = {0}, never = {0};
    assert_true(immure_client_next_deadline(link->client) == UINT64_MAX);
    link_ask(link, &never, 0);
    assert_true(immure_client_next_deadline(link->client) == UINT64_MAX);
    immure_request_id early_id = link_ask(link, &early, NOW + 100);
    link_ask(link, &late, NOW + 200);
    assert_int_equal(immure_client_next_deadline(link->client), NOW + 100);
    immure_client_expire(link->client, NOW + 99);
    assert_int_equal(early.calls, 0);
    link_take(link);
    assert_int_equal(link->peer.count, 3);
    assert_int_equal(link->peer.requests[1].time_left, 1); /* us, rounded up: 0 were none */

    immure_client_expire(link->client, NOW + 100);
    assert_int_equal(early.calls, 1);
    assert_int_equal(early.error, IMMURE_E_TIMEOUT);
    assert_string_equal(early.text, "no reply in time");
    assert_int_equal(immure_client_next_deadline(link->client), NOW + 200);
    assert_int_equal(immure_client_pending(link->client), 2);
    link_take(link);
    assert_int_equal(link->peer.requests[3].type, WIRE_CANCEL);
    assert_int_equal(link->peer.requests[3].id, early_id);

    immure_client_expire(link->client, UINT64_MAX - 1);
    assert_int_equal(late.calls, 1);
    assert_int_equal(never.calls, 0);
    assert_true(immure_client_next_deadline(link->client) == UINT64_MAX);
    link_end(link);
}

static void test_late_work_is_not_sent(void **state)
{
    struct link *link = *state;
    struct told told[2] = {0};
    link_ask(link, &told[0], NOW);
    link_ask(link, &told[1], NOW + UINT64_C(10000) * NS_PER_S);
    link_take(link);
    assert_int_equal(link->peer.count, 1);
    assert_int_equal(link->peer.requests[0].time_left, 0); /* does not fit: kept on this side */
    immure_client_expire(link->client, NOW);
    assert_int_equal(told[0].calls, 1);
    assert_int_equal(told[1].calls, 0);
    link_end(link);
}

static void test_callbacks_ask_and_cancel(void **state)
{
    struct link *link = *state;
    struct told told[3] = {0}, asked[3] = {0};
    immure_request_id ids[3];
    for (size_t i = 0; i < 3; i++) {
        told[i].client = link->client;
        told[i].asks = &asked[i];
        ids[i] = link_ask(link, &told[i], NOW + 10);
    }
    told[0].cancels = ids[1]; /* both replies are in the same read */
    told[2].cancels = ids[2]; /* itself */
    link_take(link);
    for (size_t i = 0; i < 3; i++)
        link_answer(link, i);
    link_give(link);
    assert_int_equal(told[0].calls, 1);
    assert_int_equal(told[1].calls, 0);
    assert_int_equal(told[2].calls, 1);
    assert_int_equal(immure_client_pending(link->client), 2);
    link_end(link);
}

static void test_callbacks_ask_and_cancel_while_expiring(void **state)
{
    struct link *link = *state;
    struct told told[4] = {0}, asked[4] = {0};
    immure_request_id ids[4];
    for (size_t i = 0; i < 4; i++) {
        told[i].client = link->client;
        told[i].asks = &asked[i];
        ids[i] = link_ask(link, &told[i], NOW + 10);
        if (i == 1)
            link_take(link); /* two are sent, two are not */
    }
    told[0].cancels = ids[1];
    told[2].cancels = ids[3];
    immure_client_expire(link->client, NOW + 10);
    size_t calls = 0;
    for (size_t i = 0; i < 4; i++) {
        assert_true(told[i].calls <= 1);
        calls += told[i].calls;
    }
    assert_int_equal(calls, 2);
    assert_int_equal(immure_client_pending(link->client), 2);
    link_end(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(test_cancel_unsent),
        LINK_TEST(test_cancel_sent),
        LINK_TEST(test_cancel_crosses_the_reply),
        LINK_TEST(test_cancelled_are_not_replayed),
        LINK_TEST(test_cancel_storm_stays_within_bounds),
        LINK_TEST(test_ids_are_never_used_twice),
        LINK_TEST(test_bounds),
        LINK_TEST(test_most_requests_there_can_be),
        LINK_TEST(test_deadlines),
        LINK_TEST(test_late_work_is_not_sent),
        LINK_TEST(test_callbacks_ask_and_cancel),
        LINK_TEST(test_callbacks_ask_and_cancel_while_expiring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
