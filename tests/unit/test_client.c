/* The exchange between the sans-I/O core and its peer: split reads, replay, valid and invalid
 * replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "link.h"

static void test_sign(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    immure_request_id id = link_ask(link, &told, NOW + 5000);
    assert_int_equal(immure_client_pending(link->client), 1);
    link_take(link);
    const struct peer_request *got = &link->peer.requests[0];
    assert_int_equal(link->peer.hellos, 1);
    assert_int_equal(link->peer.count, 1);
    assert_int_equal(got->type, WIRE_SIGN);
    assert_int_equal(got->id, id);
    assert_int_equal(got->key_id[2], 3);
    assert_int_equal(got->scheme, IMMURE_ECDSA_SHA256);
    assert_int_equal(got->time_left, 5);
    assert_int_equal(got->message_length, MESSAGE_SIZE);
    assert_memory_equal(got->message, message, MESSAGE_SIZE);

    link_answer(link, 0);
    link_give(link);
    link_assert_signed(&told, id);
    assert_string_equal(told.backend, "test");
    assert_int_equal(told.queue_ns, 11);
    assert_int_equal(told.sign_ns, 22);
    assert_int_equal(immure_client_pending(link->client), 0);
}

static void test_every_split_both_ways(void **state)
{
    struct link *link = *state;
    for (size_t chunk = 1; chunk < 150; chunk++) {
        struct told told[3] = {0};
        immure_request_id ids[3];
        for (size_t i = 0; i < 3; i++)
            ids[i] = link_ask(link, &told[i], 0);
        peer_take(&link->peer, link->client, chunk, NOW);
        assert_int_equal(link->peer.count, 3);
        for (size_t i = 3; i > 0; i--) /* out of order, too */
            link_answer(link, i - 1);
        assert_int_equal(peer_give(&link->peer, link->client, chunk), IMMURE_OK);
        for (size_t i = 0; i < 3; i++)
            link_assert_signed(&told[i], ids[i]);
        link_lose(link);
    }
}

/* The connection ends after each byte of the reply in turn, and the next one repeats the
 * request. */
static void test_replay_after_every_byte_of_a_reply(void **state)
{
    struct link *link = *state;
    for (size_t cut = 0;; cut++) {
        struct told told[2] = {0};
        immure_request_id first = link_ask(link, &told[0], 0), second = link_ask(link, &told[1], 0);
        link_take(link);
        link_answer(link, 1);
        size_t length = buffer_length(&link->peer.output);
        if (cut > length)
            cut = length;
        assert_int_equal(immure_client_receive(link->client, buffer_bytes(&link->peer.output), cut),
                         IMMURE_OK);
        assert_int_equal(told[1].calls, cut == length);
        link_lose(link);

        link_take(link);
        assert_int_equal(link->peer.count, cut == length ? 1 : 2);
        assert_int_equal(link->peer.requests[0].id, first);
        for (size_t i = 0; i < link->peer.count; i++)
            link_answer(link, i);
        link_give(link);
        link_assert_signed(&told[0], first);
        link_assert_signed(&told[1], second);
        link_lose(link);
        if (cut == length)
            break;
    }
}

/* ... and after every byte of what the client sends. */
static void test_replay_after_every_byte_sent(void **state)
{
    struct link *link = *state;
    const void *data;
    size_t length = 1;
    for (size_t cut = 0; cut < length; cut++) {
        struct told told[2] = {0};
        immure_request_id first = link_ask(link, &told[0], 0), second = link_ask(link, &told[1], 0);
        length = immure_client_output(link->client, &data, NOW);
        immure_client_sent(link->client, cut);
        assert_int_equal(immure_client_output(link->client, &data, NOW), length - cut);
        link_lose(link);
        link_take(link);
        assert_int_equal(link->peer.count, 2);
        assert_int_equal(link->peer.requests[0].id, first);
        assert_int_equal(link->peer.requests[1].id, second);
        link_answer(link, 0);
        link_answer(link, 1);
        link_give(link);
        link_assert_signed(&told[0], first);
        link_assert_signed(&told[1], second);
        link_lose(link);
    }
}

static void test_order_is_kept_over_resets(void **state)
{
    struct link *link = *state;
    struct told told[300] = {0};
    immure_request_id ids[300];
    for (size_t i = 0; i < 300; i++) {
        ids[i] = link_ask(link, &told[i], 0);
        if (i % 70 == 69)
            link_take(link);
        if (i % 100 == 99)
            link_lose(link);
    }
    link_take(link);
    link_give(link); /* WELCOME: more may be in flight */
    link_take(link);
    assert_int_equal(link->peer.count, 300);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(link->peer.requests[i].id, ids[i]);
        link_answer(link, i);
    }
    link_give(link);
    for (size_t i = 0; i < 300; i++)
        link_assert_signed(&told[i], ids[i]);
}

static void test_in_flight_limit(void **state)
{
    struct link *link = *state;
    struct told told[200] = {0};
    link->peer.in_flight = 0; /* WELCOME comes late */
    for (size_t i = 0; i < 200; i++)
        link_ask(link, &told[i], 0);
    link_take(link);
    assert_int_equal(link->peer.count, WIRE_IN_FLIGHT_FIRST);
    struct wire_welcome welcome = {.version = WIRE_VERSION, .in_flight = 100};
    assert_true(wire_put_welcome(&link->peer.output, &welcome));
    link_give(link);
    link_take(link);
    assert_int_equal(link->peer.count, 100);
    link_answer(link, 50);
    link_give(link);
    link_take(link);
    assert_int_equal(link->peer.count, 101);
    assert_int_equal(immure_client_pending(link->client), 199);
    link_end(link);
}

static void test_error_replies(void **state)
{
    struct link *link = *state;
    static const enum immure_error errors[] = {
        IMMURE_E_UNKNOWN_KEY, IMMURE_E_SCHEME,    IMMURE_E_POLICY,  IMMURE_E_BUSY,
        IMMURE_E_EXPIRED,     IMMURE_E_CANCELLED, IMMURE_E_SIGNING, IMMURE_E_DEVICE};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct told told = {0};
        immure_request_id id = link_ask(link, &told, 0);
        link_take(link);
        peer_say_error(&link->peer, id, errors[i], i % 2 == 0 ? "with\na text" : "");
        link_give(link);
        assert_int_equal(told.calls, 1);
        assert_int_equal(told.error, errors[i]);
        assert_string_equal(told.text, i % 2 == 0 ? "with?a text" : immure_error_text(errors[i]));
    }
}

/* Invalid replies: each ends the stream and leaves the request pending. */
static void test_false_peer(void **state)
{
    struct link *link = *state;
    static const uint8_t zeros[WIRE_PING_MAX + 1];
    for (int fault = 0; fault < 12; fault++) {
        struct told told = {0};
        immure_request_id id = link_ask(link, &told, 0);
        enum immure_error wanted = IMMURE_E_UNEXPECTED;
        struct buffer *output = &link->peer.output;
        link_take(link);
        link_give(link);
        switch (fault) {
        case 0:
            assert_true(wire_put_plain(output, WIRE_PONG, id, NULL, 0));
            break;
        case 1:
            assert_true(wire_put_figures(output, id, NULL, 0));
            break;
        case 2:
            peer_say_signed(&link->peer, 0, "x", 1);
            break;
        case 3:
            peer_say_error(&link->peer, id, IMMURE_E_CLOSED, "not for a peer to say");
            break;
        case 4:
            peer_say_error(&link->peer, 0, IMMURE_E_PEER, "go away");
            wanted = IMMURE_E_PEER;
            break;
        case 5:
            peer_say_error(&link->peer, 0, IMMURE_E_MEMORY, "not for a peer to say");
            break;
        case 6:
            assert_true(buffer_append(output, "HTTP/1.1 400 Bad Request\r\n", 26));
            wanted = IMMURE_E_FRAME_TYPE;
            break;
        case 7:
            peer_say_raw(&link->peer, WIRE_PONG, id, zeros, sizeof zeros);
            wanted = IMMURE_E_FRAME_SIZE;
            break;
        case 8:
            assert_true(wire_put_welcome(
                output, &(struct wire_welcome){.version = WIRE_VERSION, .in_flight = 1}));
            wanted = IMMURE_E_FRAME_TYPE;
            break;
        case 9:
            peer_say_error(&link->peer, id, IMMURE_OK, "");
            wanted = IMMURE_E_MALFORMED;
            break;
        case 10: /* a reply to a request that was never sent */
            id = link_ask(link, &told, 0);
            peer_say_signed(&link->peer, id, "x", 1);
            break;
        default:
            assert_true(wire_put_hello(output, &(struct wire_hello){.lowest = 1, .highest = 1}));
            wanted = IMMURE_E_FRAME_TYPE;
        }
        assert_int_equal(peer_give(&link->peer, link->client, 1), wanted);
        assert_int_equal(immure_client_receive(link->client, "x", 1), wanted);
        const void *data;
        assert_int_equal(immure_client_output(link->client, &data, NOW), 0);
        assert_int_equal(told.calls, 0);

        link_lose(link);
        link_take(link);
        for (size_t i = 0; i < link->peer.count; i++)
            link_answer(link, i);
        link_give(link);
        assert_int_equal(told.calls, link->peer.count);
        link_lose(link);
    }
}

static void test_bad_welcome(void **state)
{
    struct link *link = *state;
    static const struct {
        struct wire_welcome welcome;
        enum immure_error error;
    } welcomes[] = {
        {{.version = WIRE_VERSION + 1, .in_flight = 1}, IMMURE_E_VERSION},
        {{.version = WIRE_VERSION, .in_flight = 0}, IMMURE_E_UNEXPECTED},
    };
    link->peer.in_flight = 0;
    for (size_t i = 0; i < 2; i++) {
        link_take(link);
        assert_true(wire_put_welcome(&link->peer.output, &welcomes[i].welcome));
        assert_int_equal(peer_give(&link->peer, link->client, SIZE_MAX), welcomes[i].error);
        link_lose(link);
    }
    assert_int_equal(immure_client_receive(link->client, "SSH-2.0-OpenSSH", 15), IMMURE_E_MAGIC);
    link_end(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(test_sign),
        LINK_TEST(test_every_split_both_ways),
        LINK_TEST(test_replay_after_every_byte_of_a_reply),
        LINK_TEST(test_replay_after_every_byte_sent),
        LINK_TEST(test_order_is_kept_over_resets),
        LINK_TEST(test_in_flight_limit),
        LINK_TEST(test_error_replies),
        LINK_TEST(test_false_peer),
        LINK_TEST(test_bad_welcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
