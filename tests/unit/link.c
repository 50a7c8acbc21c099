#include "link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const uint8_t message[MESSAGE_SIZE] = "a message to sign";

struct immure_request sign_request(struct told *told, uint64_t deadline)
{
    return (struct immure_request){.operation = IMMURE_SIGN,
                                   .key_id = {1, 2, 3},
                                   .scheme = IMMURE_ECDSA_SHA256,
                                   .input = message,
                                   .input_length = MESSAGE_SIZE,
                                   .deadline = deadline,
                                   .callback = on_signed,
                                   .arg = told};
}

void on_signed(void *arg, const struct immure_reply *reply)
{
    struct told *told = arg;
    told->calls++;
    told->error = reply->error;
    assert_non_null(reply->error_text);
    assert_true(strlen(reply->error_text) < sizeof told->text);
    strcpy(told->text, reply->error_text);
    told->signature_length = reply->output_length;
    if (reply->error == IMMURE_OK) {
        memcpy(told->signature, reply->output, reply->output_length);
        told->backend = reply->backend;
        told->queue_ns = reply->queue_ns;
        told->sign_ns = reply->work_ns;
    }
    if (told->cancels != 0)
        immure_request_cancel(told->client, told->cancels);
    if (told->asks != NULL) {
        struct immure_request request = sign_request(told->asks, 0);
        /* A client that is being freed takes no more. */
        enum immure_error wanted = reply->error == IMMURE_E_CLOSED ? IMMURE_E_CLOSED : IMMURE_OK;
        assert_int_equal(immure_request_submit(told->client, &request, NULL), wanted);
    }
}

void on_reply(void *arg, const struct immure_reply *reply)
{
    struct told *told = arg;
    told->calls++;
    told->error = reply->error;
    assert_non_null(reply->error_text);
    strcpy(told->text, reply->error_text);
}

enum immure_error link_submit(struct link *link, enum immure_operation operation,
                              immure_callback *callback, struct told *told, immure_request_id *id)
{
    const struct immure_request request = {
        .operation = operation, .callback = callback, .arg = told};
    return immure_request_submit(link->client, &request, id);
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

immure_request_id link_ask(struct link *link, struct told *told, uint64_t deadline)
{
    struct immure_request request = sign_request(told, deadline);
    immure_request_id id = 0;
    assert_int_equal(immure_request_submit(link->client, &request, &id), IMMURE_OK);
    assert_true(id != 0);
    return id;
}

void link_take(struct link *link)
{
    peer_take(&link->peer, link->client, SIZE_MAX, NOW);
}

void link_give(struct link *link)
{
    assert_int_equal(peer_give(&link->peer, link->client, SIZE_MAX), IMMURE_OK);
}

void link_lose(struct link *link)
{
    immure_client_reset(link->client);
    peer_reset(&link->peer);
}

/* While what the callbacks of pending requests write to is still there. */
void link_end(struct link *link)
{
    immure_client_free(link->client);
    link->client = NULL;
}

/* Each request is told once, with its own signature. */
void link_answer(struct link *link, size_t request)
{
    uint64_t id = link->peer.requests[request].id;
    peer_say_signed(&link->peer, id, &id, sizeof id);
}

void link_assert_signed(const struct told *told, immure_request_id id)
{
    assert_int_equal(told->calls, 1);
    assert_int_equal(told->error, IMMURE_OK);
    assert_int_equal(told->signature_length, sizeof id);
    assert_memory_equal(told->signature, &id, sizeof id);
}
