#include "link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const uint8_t message[MESSAGE_SIZE] = "a message to sign";

struct immure_sign_request sign_request(uint64_t deadline)
{
    return (struct immure_sign_request){.key_id = {1, 2, 3},
                                        .scheme = IMMURE_ECDSA_SHA256,
                                        .message = message,
                                        .message_length = MESSAGE_SIZE,
                                        .deadline = deadline};
}

void on_signed(void *arg, const struct immure_signature *reply)
{
    struct told *told = arg;
    told->calls++;
    told->error = reply->error;
    assert_non_null(reply->error_text);
    assert_true(strlen(reply->error_text) < sizeof told->text);
    strcpy(told->text, reply->error_text);
    told->signature_length = reply->signature_length;
    if (reply->error == IMMURE_OK) {
        memcpy(told->signature, reply->signature, reply->signature_length);
        told->backend = reply->backend;
        told->queue_ns = reply->queue_ns;
        told->sign_ns = reply->sign_ns;
    }
    if (told->cancels != 0)
        immure_request_cancel(told->client, told->cancels);
    if (told->asks != NULL) {
        struct immure_sign_request request = sign_request(0);
        /* A client that is being freed accepts no more requests. */
        enum immure_error wanted = reply->error == IMMURE_E_CLOSED ? IMMURE_E_CLOSED : IMMURE_OK;
        assert_int_equal(immure_sign(told->client, &request, on_signed, told->asks, NULL), wanted);
    }
}

void on_pong(void *arg, enum immure_error error)
{
    struct told *told = arg;
    told->calls++;
    told->error = error;
}

int link_make(void **state)
{
    struct link *link = calloc(1, sizeof *link);
    link->client = immure_client_new(NULL);
    assert_non_null(link->client);
    peer_init(&link->peer, 4096);
    *state = link;
    return 0;
}

int link_unmake(void **state)
{
    struct link *link = *state;
    immure_client_free(link->client);
    peer_release(&link->peer);
    free(link);
    return 0;
}

immure_request link_ask(struct link *link, struct told *told, uint64_t deadline)
{
    struct immure_sign_request request = sign_request(deadline);
    immure_request id = 0;
    assert_int_equal(immure_sign(link->client, &request, on_signed, told, &id), IMMURE_OK);
    assert_true(id != 0);
    return id;
}

void link_take(struct link *link)
{
    peer_take(&link->peer, link->client, SIZE_MAX, NOW);
}

void link_give(struct link *link)
{
    assert_int_equal(peer_give(&link->peer, link->client, SIZE_MAX, NOW), IMMURE_OK);
}

void link_lose(struct link *link)
{
    immure_client_reset(link->client);
    peer_reset(&link->peer);
}

/* Frees the client first, because the callbacks of its pending requests still write to the link. */
void link_end(struct link *link)
{
    immure_client_free(link->client);
    link->client = NULL;
}

/* Each callback is called once, with the request's own signature. */
void link_answer(struct link *link, size_t request)
{
    uint64_t id = link->peer.requests[request].id;
    peer_say_signed(&link->peer, id, &id, sizeof id);
}

void link_assert_signed(const struct told *told, immure_request id)
{
    assert_int_equal(told->calls, 1);
    assert_int_equal(told->error, IMMURE_OK);
    assert_int_equal(told->signature_length, sizeof id);
    assert_memory_equal(told->signature, &id, sizeof id);
}
