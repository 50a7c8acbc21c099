/* A client and an immured, one of which is a version of the protocol behind the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "client/core.h"
#include "link.h"

#define OLD 1 /* the last version without TICKETS */

static const uint8_t ticket_key[WIRE_TICKET_KEY_SIZE];
static const struct wire_ticket_keys ticket_keys = {
    .epoch_seconds = 60, .epoch = 9, .current = ticket_key, .previous = ticket_key};

static enum immure_error ask_ticket_keys(struct link *link, struct told *told,
                                         immure_request_id *id)
{
    return link_submit(link, IMMURE_TICKET_KEYS, on_reply, told, id);
}

/* A request that immured may not know waits for WELCOME, and does not hold up those after it. */
static void test_both_new(void **state)
{
    struct link *link = *state;
    struct told tickets = {0}, signature = {0};
    assert_int_equal(ask_ticket_keys(link, &tickets, NULL), IMMURE_OK);
    immure_request_id id = link_ask(link, &signature, 0);
    link_take(link);
    assert_int_equal(link->peer.count, 1);
    assert_int_equal(link->peer.requests[0].type, WIRE_SIGN);
    link_give(link);
    link_take(link);
    assert_int_equal(link->peer.count, 2);
    assert_int_equal(link->peer.requests[1].type, WIRE_TICKETS);
    link_answer(link, 0);
    assert_true(wire_put_ticket_keys(&link->peer.output, link->peer.requests[1].id, &ticket_keys));
    link_give(link);
    link_assert_signed(&signature, id);
    assert_int_equal(tickets.calls, 1);
    assert_int_equal(tickets.error, IMMURE_OK);
}

/* A request that an old immured does not know is not sent; all others are. */
static void test_new_client_old_immured(void **state)
{
    struct link *link = *state;
    struct told tickets = {0}, cancelled = {0}, later = {0}, signature = {0};
    link->peer.version = OLD;
    immure_request_id cancels;
    assert_int_equal(ask_ticket_keys(link, &tickets, NULL), IMMURE_OK);
    assert_int_equal(ask_ticket_keys(link, &cancelled, &cancels), IMMURE_OK);
    immure_request_id id = link_ask(link, &signature, 0);
    immure_request_cancel(link->client, cancels);
    link_take(link);
    link_answer(link, 0);
    link_give(link);
    link_assert_signed(&signature, id);
    assert_int_equal(tickets.calls, 1);
    assert_int_equal(tickets.error, IMMURE_E_UNSUPPORTED);
    assert_string_equal(tickets.text,
                        "the protocol version of this immured does not have this request");
    assert_int_equal(cancelled.calls, 0);
    assert_int_equal(ask_ticket_keys(link, &later, NULL), IMMURE_E_UNSUPPORTED);
    assert_int_equal(immure_client_pending(link->client), 0);
    link_take(link);
    assert_int_equal(link->peer.count, 1);

    /* The next connection may lead to a newer one. */
    link_lose(link);
    link->peer.version = WIRE_VERSION;
    assert_int_equal(ask_ticket_keys(link, &later, NULL), IMMURE_OK);
    link_take(link);
    link_give(link);
    link_take(link);
    assert_int_equal(link->peer.count, 1);
    assert_int_equal(link->peer.requests[0].type, WIRE_TICKETS);
    link_end(link);
}

static void test_old_client_new_immured(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    link->client->versions.highest = OLD;
    immure_request_id id = link_ask(link, &told, 0);
    link_take(link);
    assert_int_equal(link->peer.decoder.version, OLD);
    link_answer(link, 0);
    link_give(link);
    link_assert_signed(&told, id);

    id = link_ask(link, &told, 0);
    link_take(link);
    assert_true(wire_put_ticket_keys(&link->peer.output, id, &ticket_keys));
    assert_int_equal(peer_give(&link->peer, link->client, SIZE_MAX), IMMURE_E_FRAME_VERSION);
    link_end(link);
}

/* The next connection leads to an older immured, and pending requests move there. */
static void test_upgrade_taken_back(void **state)
{
    struct link *link = *state;
    struct told tickets = {0};
    assert_int_equal(ask_ticket_keys(link, &tickets, NULL), IMMURE_OK);
    link_take(link);
    link_give(link);
    link_take(link);
    assert_int_equal(link->peer.count, 1);
    link_lose(link);
    link->peer.version = OLD;
    link_take(link);
    assert_int_equal(link->peer.count, 0);
    link_give(link);
    assert_int_equal(tickets.calls, 1);
    assert_int_equal(tickets.error, IMMURE_E_UNSUPPORTED);
}

static void test_versions_that_were_not_offered(void **state)
{
    struct link *link = *state;
    static const uint16_t versions[] = {0, WIRE_VERSION + 1, UINT16_MAX};
    link->peer.in_flight = 0;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        struct wire_welcome welcome = {.version = versions[i], .in_flight = 1};
        link_take(link);
        assert_true(wire_put_welcome(&link->peer.output, &welcome));
        assert_int_equal(peer_give(&link->peer, link->client, SIZE_MAX), IMMURE_E_VERSION);
        link_lose(link);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(test_both_new),
        LINK_TEST(test_new_client_old_immured),
        LINK_TEST(test_old_client_new_immured),
        LINK_TEST(test_upgrade_taken_back),
        LINK_TEST(test_versions_that_were_not_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
