/* Handshakes that come to nothing: what the provider says of it, and what it leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <openssl/err.h>

#include "base/clock.h"
#include "provider_handshake.h"

struct one {
    struct immure_client *client;
    struct peer peer;
    SSL_CTX *server, *browser;
    struct handshake handshake;
};

static void one_begin(struct one *one, size_t key)
{
    one->client = immure_client_new(&(struct immure_client_options){.max_requests = 2});
    peer_init(&one->peer, 100);
    one->server = make_server(key, SSL_MODE_ASYNC);
    one->browser = make_client(key, TLS1_3_VERSION, NULL);
    handshake_begin(&one->handshake, one->server, one->browser, one->client);
}

static void one_end(struct one *one)
{
    handshake_end(&one->handshake);
    SSL_CTX_free(one->server);
    SSL_CTX_free(one->browser);
    immure_client_free(one->client);
    peer_release(&one->peer);
}

static void test_cancel_while_paused(void **state)
{
    (void)state;
    for (int sent = 0; sent <= 1; sent++) {
        for (int answered = 0; answered <= sent; answered++) {
            struct one one;
            one_begin(&one, P_256);
            handshake_run(&one.handshake);
            if (sent)
                peer_take(&one.peer, one.client, SIZE_MAX, clock_now());
            if (answered)
                handshake_exchange(&one.peer, one.client);
            immure_waiter_cancel(&one.handshake.waiter);
            assert_int_equal(immure_client_pending(one.client), 0);
            assert_int_equal(handshake_step(&one.handshake), SSL_ERROR_SSL);
            assert_true(error_queue_has("cancelled while waiting for immured"));
            assert_null(one.handshake.waiter.operation);
            assert_int_equal(one.handshake.waiter.error, IMMURE_E_CANCELLED);
            immure_waiter_cancel(&one.handshake.waiter); /* waits for nothing now */
            if (!answered)
                handshake_exchange(&one.peer, one.client);
            assert_int_equal(one.handshake.woken, answered);
            one_end(&one);
        }
    }
}

static void test_immured_refuses(void **state)
{
    (void)state;
    struct one one;
    one_begin(&one, P_256);
    handshake_run(&one.handshake);
    peer_take(&one.peer, one.client, SIZE_MAX, clock_now());
    peer_say_error(&one.peer, one.peer.requests[0].id, IMMURE_E_POLICY, "not for this message");
    assert_int_equal(peer_give(&one.peer, one.client, SIZE_MAX), IMMURE_OK);
    assert_int_equal(one.handshake.woken, 1);
    assert_int_equal(handshake_step(&one.handshake), SSL_ERROR_SSL);
    const char *data;
    int flags;
    unsigned long error = ERR_peek_error_all(NULL, NULL, NULL, &data, &flags);
    assert_string_equal(ERR_reason_error_string(error), "the key's policy does not allow it");
    assert_true((flags & ERR_TXT_STRING) != 0);
    assert_string_equal(data, "not for this message");
    assert_int_equal(one.handshake.waiter.error, IMMURE_E_POLICY);
    one_end(&one);
}

static void never_called(void *arg, const struct immure_reply *reply)
{
    (void)arg;
    (void)reply;
    fail();
}

static void test_client_full(void **state)
{
    (void)state;
    struct one one;
    one_begin(&one, P_256);
    const struct immure_request other = {.operation = IMMURE_SIGN,
                                         .input = (const uint8_t *)"x",
                                         .input_length = 1,
                                         .callback = never_called};
    immure_request_id ids[2];
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(immure_request_submit(one.client, &other, &ids[i]), IMMURE_OK);
    handshake_run(&one.handshake);
    assert_true(one.handshake.failed);
    assert_true(error_queue_has("the request was not accepted"));
    assert_int_equal(one.handshake.waiter.error, IMMURE_E_FULL);
    for (size_t i = 0; i < 2; i++)
        immure_request_cancel(one.client, ids[i]);
    one_end(&one);
}

static void test_client_freed_while_paused(void **state)
{
    (void)state;
    struct one one;
    one_begin(&one, P_256);
    handshake_run(&one.handshake);
    immure_client_free(one.client);
    one.client = NULL;
    assert_int_equal(one.handshake.woken, 1);
    assert_int_equal(handshake_step(&one.handshake), SSL_ERROR_SSL);
    assert_int_equal(one.handshake.waiter.error, IMMURE_E_CLOSED);
    one_end(&one);
}

/* A signature that does not fit what the key's size allows is never copied. */
static void test_signature_too_long(void **state)
{
    (void)state;
    static const uint8_t long_signature[WIRE_SIGNATURE_MAX];
    struct one one;
    one_begin(&one, P_256);
    handshake_run(&one.handshake);
    peer_take(&one.peer, one.client, SIZE_MAX, clock_now());
    peer_say_signed(&one.peer, one.peer.requests[0].id, long_signature, sizeof long_signature);
    assert_int_equal(peer_give(&one.peer, one.client, SIZE_MAX), IMMURE_OK);
    assert_int_equal(handshake_step(&one.handshake), SSL_ERROR_SSL);
    assert_true(error_queue_has("the answer does not fit"));
    one_end(&one);
}

static void test_without_waiter_or_blocking(void **state)
{
    (void)state;
    struct one one;
    one_begin(&one, P_256);
    SSL_do_handshake(one.handshake.client);
    assert_int_equal(SSL_do_handshake(one.handshake.server), -1);
    assert_true(error_queue_has("no waiter was entered on this thread, and no socket is known"));
    handshake_end(&one.handshake);

    handshake_begin(&one.handshake, one.server, one.browser, one.client);
    SSL_clear_mode(one.handshake.server, SSL_MODE_ASYNC);
    SSL_do_handshake(one.handshake.client);
    assert_int_equal(handshake_step(&one.handshake), SSL_ERROR_SSL);
    assert_true(error_queue_has("no blocking exchange, and not within an async job"));
    one_end(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel_while_paused),
        cmocka_unit_test(test_immured_refuses),
        cmocka_unit_test(test_client_full),
        cmocka_unit_test(test_client_freed_while_paused),
        cmocka_unit_test(test_signature_too_long),
        cmocka_unit_test(test_without_waiter_or_blocking),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_free);
}
