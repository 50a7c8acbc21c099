/* The sans-I/O core against a peer in memory: its exchange, its bounds, its replay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "peer.h"
#include "wire/stats.h"

#define NOW UINT64_C(1000000)

/* What a callback was told last, and how often. */
struct told {
    size_t calls;
    size_t keys;
    size_t stats;
    enum immure_error error;
    char text[WIRE_ERROR_TEXT_MAX + 1];
    uint8_t signature[IMMURE_SIGNATURE_MAX];
    size_t signature_length;
    const char *backend;
    uint64_t queue_ns, sign_ns;
    /* What the callback does in its turn. */
    struct immure_client *client;
    immure_request cancels;
    struct told *asks;
};

static const uint8_t message[] = "a message to sign";

static struct immure_sign_request sign_request(uint64_t deadline)
{
    return (struct immure_sign_request){.key_id = {1, 2, 3},
                                        .scheme = IMMURE_ECDSA_SHA256,
                                        .message = message,
                                        .message_length = sizeof message,
                                        .deadline = deadline};
}

static void on_signed(void *arg, const struct immure_signature *reply)
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
        /* A client that is being freed takes no more. */
        enum immure_error wanted = reply->error == IMMURE_E_CLOSED ? IMMURE_E_CLOSED : IMMURE_OK;
        assert_int_equal(immure_sign(told->client, &request, on_signed, told->asks, NULL), wanted);
    }
}

static void on_key(void *arg, const struct immure_key *key, enum immure_error error)
{
    struct told *told = arg;
    if (key == NULL) {
        told->calls++;
        told->error = error;
        return;
    }
    assert_int_equal(error, IMMURE_OK);
    assert_int_equal(key->id[0], told->keys % 256);
    assert_int_equal(key->spki_length, 2000);
    assert_int_equal(key->scheme_count, 1);
    assert_int_equal(key->schemes[0], IMMURE_ED25519);
    assert_string_equal(key->name, "key?");
    told->keys++;
    if (told->cancels != 0)
        immure_request_cancel(told->client, told->cancels);
}

static void on_stats(void *arg, const struct immure_stat *stats, size_t count,
                     enum immure_error error)
{
    struct told *told = arg;
    told->calls++;
    told->error = error;
    told->stats = count;
    if (error == IMMURE_OK) {
        assert_int_equal(count, 2);
        assert_string_equal(stats[0].name, "signatures_total");
        assert_true(stats[0].counter);
        assert_int_equal(stats[0].value, 5);
        assert_null(stats[1].name);
    }
}

static void on_pong(void *arg, enum immure_error error)
{
    struct told *told = arg;
    told->calls++;
    told->error = error;
}

struct link {
    struct immure_client *client;
    struct peer peer;
};

static int make(void **state)
{
    struct link *link = calloc(1, sizeof *link);
    link->client = immure_client_new(NULL);
    assert_non_null(link->client);
    peer_init(&link->peer, 4096);
    *state = link;
    return 0;
}

static int unmake(void **state)
{
    struct link *link = *state;
    immure_client_free(link->client);
    peer_release(&link->peer);
    free(link);
    return 0;
}

static immure_request ask(struct link *link, struct told *told, uint64_t deadline)
{
    struct immure_sign_request request = sign_request(deadline);
    immure_request id = 0;
    assert_int_equal(immure_sign(link->client, &request, on_signed, told, &id), IMMURE_OK);
    assert_true(id != 0);
    return id;
}

static void take(struct link *link)
{
    peer_take(&link->peer, link->client, SIZE_MAX, NOW);
}

static void give(struct link *link)
{
    assert_int_equal(peer_give(&link->peer, link->client, SIZE_MAX, NOW), IMMURE_OK);
}

static void lose_connection(struct link *link)
{
    immure_client_reset(link->client);
    peer_reset(&link->peer);
}

/* While what the callbacks of pending requests write to is still there. */
static void end(struct link *link)
{
    immure_client_free(link->client);
    link->client = NULL;
}

/* Each request is told once, with its own signature. */
static void answer(struct link *link, size_t request)
{
    uint64_t id = link->peer.requests[request].id;
    peer_say_signed(&link->peer, id, &id, sizeof id);
}

static void assert_signed(const struct told *told, immure_request id)
{
    assert_int_equal(told->calls, 1);
    assert_int_equal(told->error, IMMURE_OK);
    assert_int_equal(told->signature_length, sizeof id);
    assert_memory_equal(told->signature, &id, sizeof id);
}

static void test_sign(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    immure_request id = ask(link, &told, NOW + 5000);
    assert_int_equal(immure_client_pending(link->client), 1);
    take(link);
    const struct peer_request *got = &link->peer.requests[0];
    assert_int_equal(link->peer.hellos, 1);
    assert_int_equal(link->peer.count, 1);
    assert_int_equal(got->type, WIRE_SIGN);
    assert_int_equal(got->id, id);
    assert_int_equal(got->key_id[2], 3);
    assert_int_equal(got->scheme, IMMURE_ECDSA_SHA256);
    assert_int_equal(got->time_left, 5);
    assert_int_equal(got->message_length, sizeof message);
    assert_memory_equal(got->message, message, sizeof message);

    answer(link, 0);
    give(link);
    assert_signed(&told, id);
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
        immure_request ids[3];
        for (size_t i = 0; i < 3; i++)
            ids[i] = ask(link, &told[i], 0);
        peer_take(&link->peer, link->client, chunk, NOW);
        assert_int_equal(link->peer.count, 3);
        for (size_t i = 3; i > 0; i--) /* out of order, too */
            answer(link, i - 1);
        assert_int_equal(peer_give(&link->peer, link->client, chunk, NOW), IMMURE_OK);
        for (size_t i = 0; i < 3; i++)
            assert_signed(&told[i], ids[i]);
        lose_connection(link);
    }
}

/* The connection ends after every byte of the reply, and the next one brings it again. */
static void test_replay_after_every_byte_of_a_reply(void **state)
{
    struct link *link = *state;
    for (size_t cut = 0;; cut++) {
        struct told told[2] = {0};
        immure_request first = ask(link, &told[0], 0), second = ask(link, &told[1], 0);
        take(link);
        answer(link, 1);
        size_t length = buffer_length(&link->peer.output);
        if (cut > length)
            cut = length;
        assert_int_equal(
            immure_client_receive(link->client, buffer_bytes(&link->peer.output), cut, NOW),
            IMMURE_OK);
        assert_int_equal(told[1].calls, cut == length);
        lose_connection(link);

        take(link);
        assert_int_equal(link->peer.count, cut == length ? 1 : 2);
        assert_int_equal(link->peer.requests[0].id, first);
        for (size_t i = 0; i < link->peer.count; i++)
            answer(link, i);
        give(link);
        assert_signed(&told[0], first);
        assert_signed(&told[1], second);
        lose_connection(link);
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
        immure_request first = ask(link, &told[0], 0), second = ask(link, &told[1], 0);
        length = immure_client_output(link->client, &data, NOW);
        immure_client_sent(link->client, cut);
        assert_int_equal(immure_client_output(link->client, &data, NOW), length - cut);
        lose_connection(link);
        take(link);
        assert_int_equal(link->peer.count, 2);
        assert_int_equal(link->peer.requests[0].id, first);
        assert_int_equal(link->peer.requests[1].id, second);
        answer(link, 0);
        answer(link, 1);
        give(link);
        assert_signed(&told[0], first);
        assert_signed(&told[1], second);
        lose_connection(link);
    }
}

static void test_order_is_kept_over_resets(void **state)
{
    struct link *link = *state;
    struct told told[300] = {0};
    immure_request ids[300];
    for (size_t i = 0; i < 300; i++) {
        ids[i] = ask(link, &told[i], 0);
        if (i % 70 == 69)
            take(link);
        if (i % 100 == 99)
            lose_connection(link);
    }
    take(link);
    give(link); /* WELCOME: more may be in flight */
    take(link);
    assert_int_equal(link->peer.count, 300);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(link->peer.requests[i].id, ids[i]);
        answer(link, i);
    }
    give(link);
    for (size_t i = 0; i < 300; i++)
        assert_signed(&told[i], ids[i]);
}

static void test_in_flight_limit(void **state)
{
    struct link *link = *state;
    struct told told[200] = {0};
    link->peer.in_flight = 0; /* WELCOME comes late */
    for (size_t i = 0; i < 200; i++)
        ask(link, &told[i], 0);
    take(link);
    assert_int_equal(link->peer.count, WIRE_IN_FLIGHT_FIRST);
    struct wire_welcome welcome = {.version = WIRE_VERSION, .in_flight = 100};
    assert_true(wire_put_welcome(&link->peer.output, &welcome));
    give(link);
    take(link);
    assert_int_equal(link->peer.count, 100);
    answer(link, 50);
    give(link);
    take(link);
    assert_int_equal(link->peer.count, 101);
    assert_int_equal(immure_client_pending(link->client), 199);
    end(link);
}

static void test_cancel_unsent(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    immure_request id = ask(link, &told, 0);
    immure_request_cancel(link->client, id);
    assert_int_equal(immure_client_pending(link->client), 0);
    immure_request_cancel(link->client, id);
    take(link);
    assert_int_equal(link->peer.count, 0);
    assert_int_equal(told.calls, 0);
}

static void test_cancel_sent(void **state)
{
    struct link *link = *state;
    struct told told = {0}, other = {0};
    immure_request id = ask(link, &told, 0), kept = ask(link, &other, 0);
    take(link);
    immure_request_cancel(link->client, id);
    immure_request_cancel(link->client, id);
    assert_int_equal(immure_client_pending(link->client), 1);
    take(link);
    assert_int_equal(link->peer.count, 3);
    assert_int_equal(link->peer.requests[2].type, WIRE_CANCEL);
    assert_int_equal(link->peer.requests[2].id, id);
    peer_say_error(&link->peer, id, IMMURE_E_CANCELLED, "cancelled");
    answer(link, 1);
    peer_say_error(&link->peer, id, IMMURE_E_CANCELLED, "twice"); /* unknown by now: ignored */
    give(link);
    assert_int_equal(told.calls, 0);
    assert_signed(&other, kept);
}

static void test_cancel_crosses_the_reply(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    immure_request id = ask(link, &told, 0);
    take(link);
    answer(link, 0);
    immure_request_cancel(link->client, id);
    give(link);
    assert_int_equal(told.calls, 0);
    take(link); /* nothing is left to be cancelled */
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
    immure_request ids[3];
    for (size_t i = 0; i < 3; i++)
        ids[i] = ask(link, &told[i], 0);
    take(link);
    immure_request_cancel(link->client, ids[0]);
    take(link);                                  /* its CANCEL is sent, */
    immure_request_cancel(link->client, ids[1]); /* and this one's is not */
    lose_connection(link);
    take(link);
    assert_int_equal(link->peer.count, 1);
    assert_int_equal(link->peer.requests[0].id, ids[2]);
    end(link);
}

static void test_cancel_storm_stays_within_bounds(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    struct immure_sign_request request = sign_request(0);
    immure_client_free(link->client);
    link->client = immure_client_new(&(struct immure_client_options){.max_requests = 10});
    size_t made = 0;
    for (int i = 0; i < 1000; i++) {
        immure_request id;
        if (immure_sign(link->client, &request, on_signed, &told, &id) == IMMURE_OK) {
            made++;
            take(link);
            immure_request_cancel(link->client, id);
        }
    }
    assert_int_equal(made, 10);
    assert_int_equal(immure_client_pending(link->client), 0);
    for (size_t i = 0; i < 10; i++)
        peer_say_error(&link->peer, link->peer.requests[2 * i].id, IMMURE_E_CANCELLED, "");
    give(link);
    for (size_t i = 0; i < 10; i++)
        ask(link, &told, 0);
    assert_int_equal(immure_sign(link->client, &request, on_signed, &told, NULL), IMMURE_E_FULL);
    end(link);
}

static void test_ids_are_never_used_twice(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    immure_request last = 0;
    for (int i = 0; i < 1000; i++) {
        immure_request id = ask(link, &told, 0);
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
    struct immure_sign_request request = sign_request(0);
    request.message = long_message;
    request.message_length = IMMURE_MESSAGE_MAX + 1;
    assert_int_equal(immure_sign(link->client, &request, on_signed, &told, NULL),
                     IMMURE_E_ARGUMENT);
    request.message_length = 0;
    assert_int_equal(immure_sign(link->client, &request, on_signed, &told, NULL),
                     IMMURE_E_ARGUMENT);
    request.message_length = 1;
    assert_int_equal(immure_sign(link->client, &request, NULL, NULL, NULL), IMMURE_E_ARGUMENT);
    assert_int_equal(immure_list(link->client, NULL, NULL, NULL), IMMURE_E_ARGUMENT);
    assert_int_equal(immure_stats(link->client, NULL, NULL, NULL), IMMURE_E_ARGUMENT);
    assert_int_equal(immure_ping(link->client, NULL, NULL, NULL), IMMURE_E_ARGUMENT);

    immure_client_free(link->client);
    link->client = immure_client_new(
        &(struct immure_client_options){.max_requests = 3, .max_bytes = IMMURE_MESSAGE_MAX + 5});
    request.message_length = IMMURE_MESSAGE_MAX;
    assert_int_equal(immure_sign(link->client, &request, on_signed, &told, NULL), IMMURE_OK);
    assert_int_equal(immure_sign(link->client, &request, on_signed, &told, NULL), IMMURE_E_FULL);
    request.message_length = 5;
    assert_int_equal(immure_sign(link->client, &request, on_signed, &told, NULL), IMMURE_OK);
    assert_int_equal(immure_ping(link->client, on_pong, &told, NULL), IMMURE_OK);
    assert_int_equal(immure_ping(link->client, on_pong, &told, NULL), IMMURE_E_FULL);
    take(link);
    assert_int_equal(link->peer.count, 3);
    assert_int_equal(link->peer.requests[0].message_length, IMMURE_MESSAGE_MAX);
    end(link);
}

static void test_most_requests_there_can_be(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    immure_client_free(link->client);
    link->client = immure_client_new(
        &(struct immure_client_options){.max_requests = SIZE_MAX, .max_bytes = SIZE_MAX});
    size_t made = 0;
    while (immure_ping(link->client, on_pong, &told, NULL) == IMMURE_OK)
        made++;
    assert_int_equal(made, 65535);
    assert_int_equal(immure_client_pending(link->client), made);
    end(link);
    assert_int_equal(told.calls, made);
    assert_int_equal(told.error, IMMURE_E_CLOSED);
}

static void test_deadlines(void **state)
{
    struct link *link = *state;
    struct told early = {0}, late = {0}, never = {0};
    assert_true(immure_client_next_deadline(link->client) == UINT64_MAX);
    ask(link, &never, 0);
    assert_true(immure_client_next_deadline(link->client) == UINT64_MAX);
    immure_request early_id = ask(link, &early, NOW + 100);
    ask(link, &late, NOW + 200);
    assert_int_equal(immure_client_next_deadline(link->client), NOW + 100);
    immure_client_expire(link->client, NOW + 99);
    assert_int_equal(early.calls, 0);
    take(link);
    assert_int_equal(link->peer.count, 3);
    assert_int_equal(link->peer.requests[1].time_left, 1); /* us, rounded up: 0 were none */

    immure_client_expire(link->client, NOW + 100);
    assert_int_equal(early.calls, 1);
    assert_int_equal(early.error, IMMURE_E_TIMEOUT);
    assert_string_equal(early.text, "no reply in time");
    assert_int_equal(immure_client_next_deadline(link->client), NOW + 200);
    assert_int_equal(immure_client_pending(link->client), 2);
    take(link);
    assert_int_equal(link->peer.requests[3].type, WIRE_CANCEL);
    assert_int_equal(link->peer.requests[3].id, early_id);

    immure_client_expire(link->client, UINT64_MAX - 1);
    assert_int_equal(late.calls, 1);
    assert_int_equal(never.calls, 0);
    assert_true(immure_client_next_deadline(link->client) == UINT64_MAX);
    end(link);
}

static void test_late_work_is_not_sent(void **state)
{
    struct link *link = *state;
    struct told told[2] = {0};
    ask(link, &told[0], NOW);
    ask(link, &told[1], NOW + UINT64_C(10000) * NS_PER_S);
    take(link);
    assert_int_equal(link->peer.count, 1);
    assert_int_equal(link->peer.requests[0].time_left, 0); /* does not fit: kept on this side */
    immure_client_expire(link->client, NOW);
    assert_int_equal(told[0].calls, 1);
    assert_int_equal(told[1].calls, 0);
    end(link);
}

static void test_error_replies(void **state)
{
    struct link *link = *state;
    static const enum immure_error errors[] = {
        IMMURE_E_UNKNOWN_KEY, IMMURE_E_SCHEME,    IMMURE_E_POLICY, IMMURE_E_BUSY,
        IMMURE_E_EXPIRED,     IMMURE_E_CANCELLED, IMMURE_E_SIGNING};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct told told = {0};
        immure_request id = ask(link, &told, 0);
        take(link);
        peer_say_error(&link->peer, id, errors[i], i % 2 == 0 ? "with\na text" : "");
        give(link);
        assert_int_equal(told.calls, 1);
        assert_int_equal(told.error, errors[i]);
        assert_string_equal(told.text, i % 2 == 0 ? "with?a text" : immure_error_text(errors[i]));
    }
}

static void test_stats_and_ping(void **state)
{
    struct link *link = *state;
    struct told stats = {0}, ping = {0}, refused = {0};
    immure_request id;
    assert_int_equal(immure_stats(link->client, on_stats, &stats, NULL), IMMURE_OK);
    assert_int_equal(immure_ping(link->client, on_pong, &ping, NULL), IMMURE_OK);
    assert_int_equal(immure_stats(link->client, on_stats, &refused, &id), IMMURE_OK);
    take(link);
    struct wire_figure figures[] = {{WIRE_STAT_SIGNATURES_TOTAL, 5}, {9999, 6}};
    assert_true(wire_put_figures(&link->peer.output, link->peer.requests[0].id, figures, 2));
    assert_true(wire_put_plain(&link->peer.output, WIRE_PONG, link->peer.requests[1].id, NULL, 0));
    peer_say_error(&link->peer, id, IMMURE_E_BUSY, "later");
    give(link);
    assert_int_equal(stats.calls, 1);
    assert_int_equal(stats.error, IMMURE_OK);
    assert_int_equal(ping.calls, 1);
    assert_int_equal(ping.error, IMMURE_OK);
    assert_int_equal(refused.calls, 1);
    assert_int_equal(refused.error, IMMURE_E_BUSY);
}

#define KEYS 100

/* The page that begins with the key that the last LIST asked for. */
static void say_page(struct link *link)
{
    static const uint8_t spki[2000];
    static uint8_t ids[KEYS][WIRE_KEY_ID_SIZE];
    static struct wire_key keys[KEYS];
    const struct peer_request *asked = &link->peer.requests[link->peer.count - 1];
    assert_int_equal(asked->type, WIRE_LIST);
    for (size_t i = 0; i < KEYS; i++) {
        ids[i][0] = (uint8_t)i;
        keys[i] = (struct wire_key){.id = ids[i],
                                    .name = "key\n",
                                    .name_length = 4,
                                    .spki = spki,
                                    .spki_length = sizeof spki,
                                    .schemes = {IMMURE_ED25519},
                                    .scheme_count = 1};
    }
    size_t put;
    assert_true(wire_put_keys(&link->peer.output, asked->id, keys + asked->first,
                              KEYS - asked->first, asked->first, KEYS, &put));
    assert_true(put < KEYS);
}

static size_t list_all(struct link *link)
{
    size_t pages = 0, asked = 0;
    for (;; pages++) {
        take(link);
        if (link->peer.count == asked)
            return pages;
        asked = link->peer.count;
        say_page(link);
        give(link);
    }
}

static void test_list_in_pages(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    assert_int_equal(immure_list(link->client, on_key, &told, NULL), IMMURE_OK);
    assert_true(list_all(link) > 1);
    assert_int_equal(told.calls, 1);
    assert_int_equal(told.error, IMMURE_OK);
    assert_int_equal(told.keys, KEYS);
    assert_int_equal(immure_client_pending(link->client), 0);
}

static void test_list_begins_again_after_a_reset(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    assert_int_equal(immure_list(link->client, on_key, &told, NULL), IMMURE_OK);
    take(link);
    say_page(link);
    give(link);
    take(link);
    assert_true(link->peer.requests[1].first > 0);
    lose_connection(link);
    take(link);
    assert_int_equal(link->peer.requests[0].first, 0);
    peer_reset(&link->peer);
    lose_connection(link);
    list_all(link);
    assert_int_equal(told.keys, KEYS);
    assert_int_equal(told.calls, 1);
}

static void test_list_cancelled_by_its_callback(void **state)
{
    struct link *link = *state;
    struct told told = {.client = link->client};
    assert_int_equal(immure_list(link->client, on_key, &told, &told.cancels), IMMURE_OK);
    list_all(link);
    assert_int_equal(told.keys, 1);
    assert_int_equal(told.calls, 0);
    assert_int_equal(immure_client_pending(link->client), 0);
}

static void test_list_too_long_for_the_bound(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    immure_client_free(link->client);
    link->client = immure_client_new(&(struct immure_client_options){.max_bytes = 100000});
    assert_int_equal(immure_list(link->client, on_key, &told, NULL), IMMURE_OK);
    list_all(link);
    assert_int_equal(told.keys, 0);
    assert_int_equal(told.calls, 1);
    assert_int_equal(told.error, IMMURE_E_FULL);
    struct told after = {0};
    ask(link, &after, 0); /* the pages' bytes are free again */
    end(link);
}

static void test_list_that_never_ends(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    assert_int_equal(immure_list(link->client, on_key, &told, NULL), IMMURE_OK);
    take(link);
    say_page(link);
    give(link);
    take(link);
    link->peer.requests[link->peer.count - 1].first = 0; /* the first page again */
    say_page(link);
    assert_int_equal(peer_give(&link->peer, link->client, SIZE_MAX, NOW), IMMURE_E_UNEXPECTED);
    assert_int_equal(told.keys, 0);
    end(link);
}

/* Replies that no immured sends; each ends the stream and leaves the request pending. */
static void test_false_peer(void **state)
{
    struct link *link = *state;
    static const uint8_t zeros[WIRE_PING_MAX + 1];
    for (int fault = 0; fault < 12; fault++) {
        struct told told = {0};
        immure_request id = ask(link, &told, 0);
        enum immure_error wanted = IMMURE_E_UNEXPECTED;
        struct buffer *output = &link->peer.output;
        take(link);
        give(link);
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
            assert_true(wire_put_plain(output, WIRE_PONG, id, zeros, sizeof zeros));
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
        case 10: /* a reply to what was never sent */
            id = ask(link, &told, 0);
            peer_say_signed(&link->peer, id, "x", 1);
            break;
        default:
            assert_true(wire_put_hello(output, &(struct wire_hello){.lowest = 1, .highest = 1}));
            wanted = IMMURE_E_FRAME_TYPE;
        }
        assert_int_equal(peer_give(&link->peer, link->client, 1, NOW), wanted);
        assert_int_equal(immure_client_receive(link->client, "x", 1, NOW), wanted);
        const void *data;
        assert_int_equal(immure_client_output(link->client, &data, NOW), 0);
        assert_int_equal(told.calls, 0);

        lose_connection(link);
        take(link);
        for (size_t i = 0; i < link->peer.count; i++)
            answer(link, i);
        give(link);
        assert_int_equal(told.calls, link->peer.count);
        lose_connection(link);
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
        take(link);
        assert_true(wire_put_welcome(&link->peer.output, &welcomes[i].welcome));
        assert_int_equal(peer_give(&link->peer, link->client, SIZE_MAX, NOW), welcomes[i].error);
        lose_connection(link);
    }
    assert_int_equal(immure_client_receive(link->client, "SSH-2.0-OpenSSH", 15, NOW),
                     IMMURE_E_MAGIC);
    end(link);
}

static void test_callbacks_ask_and_cancel(void **state)
{
    struct link *link = *state;
    struct told told[3] = {0}, asked[3] = {0};
    immure_request ids[3];
    for (size_t i = 0; i < 3; i++) {
        told[i].client = link->client;
        told[i].asks = &asked[i];
        ids[i] = ask(link, &told[i], NOW + 10);
    }
    told[0].cancels = ids[1]; /* both replies are in the same read */
    told[2].cancels = ids[2]; /* itself */
    take(link);
    for (size_t i = 0; i < 3; i++)
        answer(link, i);
    give(link);
    assert_int_equal(told[0].calls, 1);
    assert_int_equal(told[1].calls, 0);
    assert_int_equal(told[2].calls, 1);
    assert_int_equal(immure_client_pending(link->client), 2);
    end(link);
}

static void test_callbacks_ask_and_cancel_while_expiring(void **state)
{
    struct link *link = *state;
    struct told told[4] = {0}, asked[4] = {0};
    immure_request ids[4];
    for (size_t i = 0; i < 4; i++) {
        told[i].client = link->client;
        told[i].asks = &asked[i];
        ids[i] = ask(link, &told[i], NOW + 10);
        if (i == 1)
            take(link); /* two are sent, two are not */
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
    end(link);
}

static void test_free_ends_what_is_pending(void **state)
{
    struct link *link = *state;
    struct told told[4] = {0};
    ask(link, &told[0], 0);
    take(link);
    immure_request cancelled = ask(link, &told[1], 0);
    assert_int_equal(immure_list(link->client, on_key, &told[2], NULL), IMMURE_OK);
    assert_int_equal(immure_stats(link->client, on_stats, &told[3], NULL), IMMURE_OK);
    take(link);
    immure_request_cancel(link->client, cancelled);
    end(link);
    assert_int_equal(told[1].calls, 0);
    for (size_t i = 0; i < 4; i++) {
        if (i != 1) {
            assert_int_equal(told[i].calls, 1);
            assert_int_equal(told[i].error, IMMURE_E_CLOSED);
        }
    }
    immure_client_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sign),
        TEST(test_every_split_both_ways),
        TEST(test_replay_after_every_byte_of_a_reply),
        TEST(test_replay_after_every_byte_sent),
        TEST(test_order_is_kept_over_resets),
        TEST(test_in_flight_limit),
        TEST(test_cancel_unsent),
        TEST(test_cancel_sent),
        TEST(test_cancel_crosses_the_reply),
        TEST(test_cancelled_are_not_replayed),
        TEST(test_cancel_storm_stays_within_bounds),
        TEST(test_ids_are_never_used_twice),
        TEST(test_bounds),
        TEST(test_most_requests_there_can_be),
        TEST(test_deadlines),
        TEST(test_late_work_is_not_sent),
        TEST(test_error_replies),
        TEST(test_stats_and_ping),
        TEST(test_list_in_pages),
        TEST(test_list_begins_again_after_a_reset),
        TEST(test_list_cancelled_by_its_callback),
        TEST(test_list_too_long_for_the_bound),
        TEST(test_list_that_never_ends),
        TEST(test_false_peer),
        TEST(test_bad_welcome),
        TEST(test_callbacks_ask_and_cancel),
        TEST(test_callbacks_ask_and_cancel_while_expiring),
        TEST(test_free_ends_what_is_pending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
