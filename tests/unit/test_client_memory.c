/*
 * The whole life of a client in which one allocation fails: the first, the second, and so on. This
 * program is linked with --wrap for malloc and realloc.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "immure/client.h"
#include "peer.h"

#define NOW UINT64_C(1000)

void *__real_malloc(size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *memory, size_t size);

static size_t until_failure; /* 0: none fails */

static bool fails(void)
{
    return until_failure > 0 && --until_failure == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

static void count_signed(void *arg, const struct immure_reply *reply)
{
    assert_non_null(reply->error_text);
    ++*(size_t *)arg;
}

static void count_listed(void *arg, const struct immure_reply *reply)
{
    *(size_t *)arg += reply->key == NULL;
}

static void answer_all(struct peer *peer)
{
    static const uint8_t bytes[WIRE_KEY_ID_SIZE];
    struct wire_key key = {
        .id = bytes, .name = "key", .name_length = 3, .spki = bytes, .spki_length = sizeof bytes};
    size_t put;
    for (size_t i = 0; i < peer->count; i++) {
        if (peer->requests[i].type == WIRE_SIGN)
            peer_say_signed(peer, peer->requests[i].id, bytes, sizeof bytes);
        else if (peer->requests[i].type == WIRE_LIST)
            assert_true(wire_put_keys(&peer->output, peer->requests[i].id, &key, 1, 0, 1, &put));
    }
}

/* Exchanges data, with the failure armed in the client's own calls only. */
static void exchange(struct peer *peer, struct immure_client *client, size_t *armed)
{
    for (int turn = 0; turn < 4; turn++) {
        const void *data;
        size_t length;
        until_failure = *armed;
        length = immure_client_output(client, &data, NOW);
        *armed = until_failure;
        until_failure = 0;
        if (length > 0)
            peer_receive(peer, data, length);
        immure_client_sent(client, length);
        answer_all(peer);

        until_failure = *armed;
        enum immure_error error = immure_client_receive(client, buffer_bytes(&peer->output),
                                                        buffer_length(&peer->output));
        *armed = until_failure;
        until_failure = 0;
        assert_true(error == IMMURE_OK || error == IMMURE_E_MEMORY);
        peer_reset(peer);
        immure_client_reset(client);
    }
}

/* Whether an allocation failed in it. */
static bool live(size_t failure)
{
    static const uint8_t message[100];
    size_t accepted = 0, ended = 0, armed;
    const struct immure_request sign = {.operation = IMMURE_SIGN,
                                        .input = message,
                                        .input_length = sizeof message,
                                        .callback = count_signed,
                                        .arg = &ended};
    const struct immure_request list = {
        .operation = IMMURE_LIST, .callback = count_listed, .arg = &ended};
    struct peer peer;
    peer_init(&peer, 4096);

    until_failure = failure;
    struct immure_client *client = immure_client_new(NULL);
    for (int i = 0; client != NULL && i < 70; i++) {
        enum immure_error error = immure_request_submit(client, &sign, NULL);
        assert_true(error == IMMURE_OK || error == IMMURE_E_MEMORY);
        accepted += error == IMMURE_OK;
    }
    if (client != NULL)
        accepted += immure_request_submit(client, &list, NULL) == IMMURE_OK;
    armed = until_failure;
    until_failure = 0;
    if (client != NULL) {
        exchange(&peer, client, &armed);
        assert_int_equal(immure_client_pending(client), 0);
    }
    immure_client_free(client);
    assert_int_equal(ended, accepted);
    peer_release(&peer);
    return armed == 0;
}

static void test_each_allocation_fails_once(void **state)
{
    (void)state;
    size_t failure = 1;
    while (live(failure))
        failure++;
    assert_true(failure > 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
