/* The provider in whole TLS handshakes, in memory, with an immured that this test plays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "provider_handshake.h"

static const struct combination combinations[] = {
    {RSA_2048, TLS1_3_VERSION, "rsa_pss_rsae_sha256", IMMURE_RSA_PSS_RSAE_SHA256},
    {RSA_2048, TLS1_3_VERSION, "rsa_pss_rsae_sha384", IMMURE_RSA_PSS_RSAE_SHA384},
    {RSA_2048, TLS1_3_VERSION, "rsa_pss_rsae_sha512", IMMURE_RSA_PSS_RSAE_SHA512},
    {RSA_2048, TLS1_2_VERSION, "rsa_pss_rsae_sha256", IMMURE_RSA_PSS_RSAE_SHA256},
    {RSA_2048, TLS1_2_VERSION, "RSA+SHA256", IMMURE_RSA_PKCS1_SHA256},
    {RSA_2048, TLS1_2_VERSION, "RSA+SHA384", IMMURE_RSA_PKCS1_SHA384},
    {RSA_2048, TLS1_2_VERSION, "RSA+SHA512", IMMURE_RSA_PKCS1_SHA512},
    {P_256, TLS1_3_VERSION, NULL, IMMURE_ECDSA_SHA256},
    {P_256, TLS1_2_VERSION, "ECDSA+SHA256", IMMURE_ECDSA_SHA256},
    {P_384, TLS1_3_VERSION, NULL, IMMURE_ECDSA_SHA384},
    {P_384, TLS1_2_VERSION, "ECDSA+SHA384", IMMURE_ECDSA_SHA384},
    {P_521, TLS1_3_VERSION, NULL, IMMURE_ECDSA_SHA512},
    {P_521, TLS1_2_VERSION, "ECDSA+SHA512", IMMURE_ECDSA_SHA512},
    {ED_25519, TLS1_3_VERSION, NULL, IMMURE_ED25519},
    {ED_25519, TLS1_2_VERSION, NULL, IMMURE_ED25519},
    {PSS_2048, TLS1_3_VERSION, "rsa_pss_pss_sha512:rsa_pss_pss_sha256", IMMURE_RSA_PSS_PSS_SHA512},
    {PSS_2048, TLS1_2_VERSION, "rsa_pss_pss_sha384:rsa_pss_pss_sha256", IMMURE_RSA_PSS_PSS_SHA384},
    /* What the client would like best is nothing that the key or immured can do. */
    {PSS_SHA256, TLS1_3_VERSION, "rsa_pss_pss_sha512:rsa_pss_pss_sha384:rsa_pss_pss_sha256",
     IMMURE_RSA_PSS_PSS_SHA256},
    {PSS_SHA256, TLS1_2_VERSION, "rsa_pss_pss_sha512:rsa_pss_pss_sha256",
     IMMURE_RSA_PSS_PSS_SHA256},
    {RSA_2048, TLS1_2_VERSION, "RSA+SHA224:RSA+SHA256", IMMURE_RSA_PKCS1_SHA256},
    {P_256, TLS1_2_VERSION, "ECDSA+SHA224:ECDSA+SHA384", IMMURE_ECDSA_SHA384},
};

static void test_every_key_and_version_async(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof combinations / sizeof combinations[0]; i++) {
        struct immure_client *client = immure_client_new(NULL);
        struct peer peer;
        peer_init(&peer, 100);
        SSL_CTX *server = make_server(combinations[i].key, SSL_MODE_ASYNC);
        SSL_CTX *browser =
            make_client(combinations[i].key, combinations[i].version, combinations[i].algorithms);
        struct handshake handshake;
        handshake_begin(&handshake, server, browser, client);

        handshake_run(&handshake);
        assert_false(handshake.failed);
        assert_int_equal(immure_client_pending(client), 1);
        assert_non_null(handshake.waiter.operation);
        assert_int_equal(handshake_step(&handshake), SSL_ERROR_WANT_ASYNC); /* a spurious resume */
        assert_int_equal(handshake.woken, 0);

        handshake_exchange(&peer, client);
        assert_int_equal(handshake.woken, 1);
        handshake_run(&handshake);
        assert_true(handshake_done(&handshake));
        assert_int_equal(peer.requests[0].scheme, combinations[i].scheme);
        assert_int_equal(handshake.waiter.scheme, combinations[i].scheme);
        assert_int_equal(handshake.waiter.error, IMMURE_OK);
        assert_string_equal(handshake.waiter.backend, "test");
        assert_int_equal(handshake.waiter.queue_ns, 11);
        assert_int_equal(handshake.waiter.work_ns, 22);
        assert_true(handshake.waiter.asked_at <= handshake.waiter.answered_at);
        assert_null(handshake.waiter.operation);

        handshake_end(&handshake);
        SSL_CTX_free(server);
        SSL_CTX_free(browser);
        immure_client_free(client);
        peer_release(&peer);
    }
}

/* The other end of the blocking exchange: answers until the connection ends. */
static void *answer_all(void *arg)
{
    int *end = arg;
    struct peer peer;
    peer_init(&peer, 100);
    uint8_t input[4096];
    ssize_t length;
    while ((length = recv(*end, input, sizeof input, 0)) > 0) {
        peer_receive(&peer, input, (size_t)length);
        for (size_t i = 0; i < peer.count; i++)
            fake_sign(&peer, &peer.requests[i], keys, KEY_COUNT);
        size_t said = buffer_length(&peer.output);
        assert_int_equal(send(*end, buffer_bytes(&peer.output), said, MSG_NOSIGNAL), said);
        for (size_t i = 0; i < peer.count; i++)
            free(peer.requests[i].message);
        peer.count = 0;
        buffer_clear(&peer.output);
    }
    peer_release(&peer);
    close(*end);
    return NULL;
}

static int hand_out(void *arg)
{
    int *end = arg, given = *end;
    *end = -1;
    return given;
}

static void test_every_key_and_version_blocking(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_all, &ends[1]), 0);
    struct immure_blocking *blocking = immure_blocking_new(hand_out, &ends[0]);
    for (size_t i = 0; i < sizeof combinations / sizeof combinations[0]; i++) {
        SSL_CTX *server = make_server(combinations[i].key, 0);
        SSL_CTX *browser =
            make_client(combinations[i].key, combinations[i].version, combinations[i].algorithms);
        struct handshake handshake;
        handshake_begin(&handshake, server, browser, NULL);
        handshake.waiter.blocking = blocking;
        handshake_run(&handshake);
        assert_true(handshake_done(&handshake));
        assert_int_equal(ERR_peek_error(), 0); /* what libssl tries in vain leaves no trace */
        assert_int_equal(handshake.waiter.scheme, combinations[i].scheme);
        assert_int_equal(handshake.waiter.error, IMMURE_OK);
        assert_string_equal(handshake.waiter.backend, "test");
        handshake_end(&handshake);
        SSL_CTX_free(server);
        SSL_CTX_free(browser);
    }
    immure_blocking_free(blocking);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_rsa_key_exchange_async(void **state)
{
    (void)state;
    struct immure_client *client = immure_client_new(NULL);
    struct peer peer;
    peer_init(&peer, 100);
    SSL_CTX *server = make_server(RSA_2048, SSL_MODE_ASYNC);
    SSL_CTX *browser = make_client(RSA_2048, TLS1_2_VERSION, NULL);
    assert_int_equal(SSL_CTX_set_cipher_list(browser, "AES128-SHA"), 1);
    struct handshake handshake;
    handshake_begin(&handshake, server, browser, client);
    handshake_run(&handshake);
    assert_int_equal(immure_client_pending(client), 1);
    assert_int_equal(handshake_step(&handshake), SSL_ERROR_WANT_ASYNC); /* a spurious resume */
    handshake_exchange(&peer, client);
    assert_int_equal(handshake.woken, 1);
    handshake_run(&handshake);
    assert_true(handshake_done(&handshake));
    assert_int_equal(peer.requests[0].type, WIRE_DECRYPT);
    assert_int_equal(peer.requests[0].client_version, TLS1_2_VERSION);
    assert_int_equal(handshake.waiter.scheme, 0);
    assert_int_equal(handshake.waiter.work_ns, 22);
    handshake_end(&handshake);
    SSL_CTX_free(server);
    SSL_CTX_free(browser);
    immure_client_free(client);
    peer_release(&peer);
}

#define MANY 100

struct many {
    struct immure_client *client;
    struct peer peer;
    SSL_CTX *server[2], *browser[2];
    struct handshake handshakes[MANY];
};

static void many_begin(struct many *many)
{
    many->client = immure_client_new(NULL);
    peer_init(&many->peer, 4096);
    for (size_t i = 0; i < 2; i++) {
        many->server[i] = make_server(i, SSL_MODE_ASYNC);
        many->browser[i] = make_client(i, i == 0 ? TLS1_3_VERSION : TLS1_2_VERSION, NULL);
    }
    for (size_t i = 0; i < MANY; i++) {
        handshake_begin(&many->handshakes[i], many->server[i % 2], many->browser[i % 2],
                        many->client);
        handshake_run(&many->handshakes[i]);
    }
    assert_int_equal(immure_client_pending(many->client), MANY);
    peer_take(&many->peer, many->client, SIZE_MAX, clock_now());
    assert_true(many->peer.count > 0);
}

static void many_end(struct many *many)
{
    for (size_t i = 0; i < MANY; i++)
        handshake_end(&many->handshakes[i]);
    for (size_t i = 0; i < 2; i++) {
        SSL_CTX_free(many->server[i]);
        SSL_CTX_free(many->browser[i]);
    }
    immure_client_free(many->client);
    peer_release(&many->peer);
}

/* Answers the second half before the first, a few at a time, as they are sent. */
static void many_finish(struct many *many)
{
    size_t answered = 0;
    while (answered < MANY) {
        peer_take(&many->peer, many->client, 1000, clock_now());
        assert_true(many->peer.count > answered);
        for (size_t i = many->peer.count; i > answered; i--)
            fake_sign(&many->peer, &many->peer.requests[i - 1], keys, KEY_COUNT);
        answered = many->peer.count;
        assert_int_equal(peer_give(&many->peer, many->client, 700), IMMURE_OK);
        for (size_t i = 0; i < MANY; i++)
            if (!handshake_done(&many->handshakes[i]))
                handshake_run(&many->handshakes[i]);
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_true(handshake_done(&many->handshakes[i]));
        assert_int_equal(many->handshakes[i].woken, 1);
    }
}

static void test_many_at_once_reordered(void **state)
{
    (void)state;
    struct many many;
    many_begin(&many);
    many_finish(&many);
    many_end(&many);
}

static void *many_whole(void *arg)
{
    struct many *many = arg;
    many_begin(many);
    many_finish(many);
    many_end(many);
    return NULL;
}

/* Each with connections and a client of its own; the library context is shared. */
static void test_many_in_several_threads(void **state)
{
    (void)state;
    static struct many many[4];
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_whole, &many[i]), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void test_connection_lost_in_the_middle(void **state)
{
    (void)state;
    struct many many;
    many_begin(&many);
    fake_sign(&many.peer, &many.peer.requests[0], keys, KEY_COUNT);
    assert_int_equal(immure_client_receive(many.client, buffer_bytes(&many.peer.output),
                                           buffer_length(&many.peer.output) - 5),
                     IMMURE_OK);
    assert_int_equal(immure_client_pending(many.client), MANY);
    immure_client_reset(many.client);
    peer_reset(&many.peer);
    many_finish(&many);
    assert_int_equal(many.peer.hellos, 2);
    many_end(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key_and_version_async),
        cmocka_unit_test(test_every_key_and_version_blocking),
        cmocka_unit_test(test_rsa_key_exchange_async),
        cmocka_unit_test(test_many_at_once_reordered),
        cmocka_unit_test(test_many_in_several_threads),
        cmocka_unit_test(test_connection_lost_in_the_middle),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_free);
}
