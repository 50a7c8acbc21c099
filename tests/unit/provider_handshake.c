#include "provider_handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "base/clock.h"

static void woken(struct immure_waiter *waiter)
{
    ((struct handshake *)waiter)->woken++;
}

void handshake_begin(struct handshake *handshake, SSL_CTX *server, SSL_CTX *client,
                     struct immure_client *immure)
{
    BIO *server_end, *client_end;
    *handshake = (struct handshake){.waiter = {.client = immure, .wake = woken}};
    assert_int_equal(BIO_new_bio_pair(&server_end, 0, &client_end, 0), 1);
    handshake->server = SSL_new(server);
    handshake->client = SSL_new(client);
    SSL_set_bio(handshake->server, server_end, server_end);
    SSL_set_bio(handshake->client, client_end, client_end);
    SSL_set_accept_state(handshake->server);
    SSL_set_connect_state(handshake->client);
}

void handshake_end(struct handshake *handshake)
{
    SSL_free(handshake->server);
    SSL_free(handshake->client);
}

int handshake_step(struct handshake *handshake)
{
    ERR_clear_error();
    immure_waiter_enter(&handshake->waiter);
    int result = SSL_do_handshake(handshake->server);
    immure_waiter_leave();
    return result == 1 ? SSL_ERROR_NONE : SSL_get_error(handshake->server, result);
}

static bool goes_on(int error)
{
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ||
           error == SSL_ERROR_WANT_ASYNC || error == SSL_ERROR_WANT_ASYNC_JOB;
}

void handshake_run(struct handshake *handshake)
{
    for (int i = 0; i < 20 && !handshake->failed; i++) {
        int client = SSL_do_handshake(handshake->client);
        if (client != 1 && !goes_on(SSL_get_error(handshake->client, client)))
            handshake->failed = true;
        int error = handshake_step(handshake);
        if (error == SSL_ERROR_WANT_ASYNC)
            return;
        if (error != SSL_ERROR_NONE && !goes_on(error))
            handshake->failed = true;
        if (client == 1 && error == SSL_ERROR_NONE)
            return;
    }
}

bool handshake_done(const struct handshake *handshake)
{
    return !handshake->failed && SSL_is_init_finished(handshake->server) &&
           SSL_is_init_finished(handshake->client);
}

void handshake_exchange(struct peer *peer, struct immure_client *client)
{
    peer_take(peer, client, SIZE_MAX, clock_now());
    for (size_t i = 0; i < peer->count; i++) {
        if (peer->requests[i].type == WIRE_SIGN)
            fake_sign(peer, &peer->requests[i], keys, KEY_COUNT);
        if (peer->requests[i].type == WIRE_DECRYPT)
            fake_decrypt(peer, &peer->requests[i], keys, KEY_COUNT);
    }
    assert_int_equal(peer_give(peer, client, SIZE_MAX), IMMURE_OK);
}
