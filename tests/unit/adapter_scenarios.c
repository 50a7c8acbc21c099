#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "adapter_scenarios.h"

#include <pthread.h>

#include "base/clock.h"

/* A client and its immured, which a test plays. */
struct keys {
    struct immure_client *client;
    struct peer peer;
};

static void keys_open(struct keys *keys)
{
    keys->client = immure_client_new(NULL);
    assert_non_null(keys->client);
    peer_init(&keys->peer, 4096);
}

static void keys_close(struct keys *keys)
{
    immure_client_free(keys->client);
    peer_release(&keys->peer);
}

static void take(struct keys *keys)
{
    peer_take(&keys->peer, keys->client, SIZE_MAX, clock_now());
}

static void give(struct keys *keys)
{
    assert_int_equal(peer_give(&keys->peer, keys->client, SIZE_MAX), IMMURE_OK);
}

static void forget(struct keys *keys)
{
    for (size_t i = 0; i < keys->peer.count; i++)
        free(keys->peer.requests[i].message);
    keys->peer.count = 0;
}

static void answer(struct keys *keys)
{
    take(keys);
    for (size_t i = 0; i < keys->peer.count; i++)
        if (keys->peer.requests[i].type == WIRE_SIGN)
            adapter.sign(&keys->peer, &keys->peer.requests[i]);
    forget(keys);
    give(keys);
}

static struct pair *open_waiting(struct keys *keys, size_t combination, uint64_t deadline)
{
    struct pair *pair = adapter.open(combination, keys->client, deadline);
    assert_int_equal(adapter.run(pair), PROGRESS_WAITS);
    return pair;
}

void scenario_every_combination(void **state)
{
    (void)state;
    struct keys keys;
    keys_open(&keys);
    for (size_t i = 0; i < adapter.combinations; i++) {
        struct pair *pair = open_waiting(&keys, i, 0);
        assert_int_equal(adapter.run(pair), PROGRESS_WAITS); /* nobody has woken it */
        take(&keys);
        assert_int_equal(keys.peer.count, 1);
        assert_int_equal(keys.peer.requests[0].scheme, adapter.scheme(i));
        answer(&keys);
        assert_int_equal(pair->woken, 1);
        assert_int_equal(pair->error, IMMURE_OK);
        if (adapter.run(pair) != PROGRESS_DONE)
            fail_msg("combination %zu, scheme %#x", i, adapter.scheme(i));
        adapter.close(pair);
    }
    keys_close(&keys);
}

void scenario_any_order(void **state)
{
    (void)state;
    enum { PAIRS = 24 };
    static const size_t coprime = 7; /* i * 7 % 24 comes by all of them */
    struct keys keys;
    struct pair *pairs[PAIRS];
    keys_open(&keys);
    for (size_t i = 0; i < PAIRS; i++)
        pairs[i] = open_waiting(&keys, i % adapter.combinations, 0);
    take(&keys);
    assert_int_equal(keys.peer.count, PAIRS);
    for (size_t i = 0; i < PAIRS; i++) {
        struct pair *pair = pairs[i * coprime % PAIRS];
        adapter.sign(&keys.peer, &keys.peer.requests[i * coprime % PAIRS]);
        give(&keys);
        assert_int_equal(pair->woken, 1);
        assert_int_equal(adapter.run(pair), PROGRESS_DONE);
    }
    for (size_t i = 0; i < PAIRS; i++)
        adapter.close(pairs[i]);
    keys_close(&keys);
}

/* How many: ABANDONED in the environment says otherwise, for tools that make all slow. */
static size_t abandoned_count(void)
{
    const char *count = getenv("ABANDONED");
    return count != NULL ? strtoul(count, NULL, 10) : 10000;
}

/* Before the request has left, after, and when the answer has come and nobody has gone on yet. */
void scenario_abandoned(void **state)
{
    (void)state;
    struct keys keys;
    size_t count = abandoned_count();
    keys_open(&keys);
    for (size_t i = 0; i < count; i++) {
        struct pair *pair = open_waiting(&keys, 0, 0);
        if (i % 3 > 0)
            take(&keys);
        if (i % 3 > 1)
            answer(&keys);
        assert_int_equal(pair->woken, i % 3 > 1);
        adapter.close(pair);
        assert_int_equal(immure_client_pending(keys.client), 0);
        if (i % 3 == 1) /* the answer to what is cancelled by now */
            answer(&keys);
        else
            take(&keys);
        forget(&keys);
    }
    struct pair *pair = open_waiting(&keys, 0, 0);
    answer(&keys);
    assert_int_equal(adapter.run(pair), PROGRESS_DONE);
    adapter.close(pair);
    keys_close(&keys);
}

/* immured is killed with signatures under way: the next one makes them. */
void scenario_connection_lost(void **state)
{
    (void)state;
    enum { PAIRS = 9 };
    struct keys keys;
    struct pair *pairs[PAIRS];
    keys_open(&keys);
    for (size_t i = 0; i < PAIRS; i++) {
        pairs[i] = open_waiting(&keys, i % adapter.combinations, 0);
        if (i == PAIRS / 2)
            take(&keys); /* the others wait unsent */
    }
    immure_client_reset(keys.client);
    peer_reset(&keys.peer);
    answer(&keys);
    for (size_t i = 0; i < PAIRS; i++) {
        assert_int_equal(pairs[i]->woken, 1);
        assert_int_equal(adapter.run(pairs[i]), PROGRESS_DONE);
        adapter.close(pairs[i]);
    }
    keys_close(&keys);
}

void scenario_deadline(void **state)
{
    (void)state;
    struct keys keys;
    keys_open(&keys);
    uint64_t deadline = clock_now() + 3600 * NS_PER_S;
    struct pair *pair = open_waiting(&keys, 0, deadline);
    take(&keys);
    assert_int_equal(immure_client_next_deadline(keys.client), deadline);
    immure_client_expire(keys.client, deadline - 1);
    assert_int_equal(pair->woken, 0);
    immure_client_expire(keys.client, deadline + 1);
    assert_int_equal(pair->woken, 1);
    assert_int_equal(pair->error, IMMURE_E_TIMEOUT);
    assert_int_equal(adapter.run(pair), PROGRESS_FAILED);
    adapter.close(pair);
    answer(&keys); /* too late, and harmless */
    keys_close(&keys);
}

/* A signature that is none, one that is longer than any of the key's, and a refusal. */
void scenario_false_replies(void **state)
{
    (void)state;
    static const uint8_t junk[IMMURE_SIGNATURE_MAX] = {0x30};
    static const size_t lengths[] = {1, 64, sizeof junk, 0};
    struct keys keys;
    keys_open(&keys);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct pair *pair = open_waiting(&keys, 0, 0);
        struct pair *other = open_waiting(&keys, 0, 0);
        take(&keys);
        if (lengths[i] > 0)
            peer_say_signed(&keys.peer, keys.peer.requests[0].id, junk, lengths[i]);
        else
            peer_say_error(&keys.peer, keys.peer.requests[0].id, IMMURE_E_POLICY, "not this");
        adapter.sign(&keys.peer, &keys.peer.requests[1]);
        give(&keys);
        forget(&keys);
        assert_int_equal(pair->woken, 1);
        assert_int_equal(adapter.run(pair), PROGRESS_FAILED);
        assert_int_equal(adapter.run(other), PROGRESS_DONE);
        adapter.close(pair);
        adapter.close(other);
    }
    keys_close(&keys);
}

/* The client takes no more requests: the handshake fails at once. */
void scenario_client_full(void **state)
{
    (void)state;
    struct immure_client *client =
        immure_client_new(&(struct immure_client_options){.max_requests = 1});
    struct pair *first = adapter.open(0, client, 0), *second = adapter.open(0, client, 0);
    assert_int_equal(adapter.run(first), PROGRESS_WAITS);
    assert_int_equal(adapter.run(second), PROGRESS_FAILED);
    adapter.close(second);
    adapter.close(first);
    immure_client_free(client);
}

void scenario_client_freed(void **state)
{
    (void)state;
    struct keys keys;
    keys_open(&keys);
    struct pair *goes_on = open_waiting(&keys, 0, 0), *ends = open_waiting(&keys, 0, 0);
    immure_client_free(keys.client);
    keys.client = NULL;
    assert_int_equal(goes_on->woken + ends->woken, 2);
    assert_int_equal(goes_on->error, IMMURE_E_CLOSED);
    assert_int_equal(adapter.run(goes_on), PROGRESS_FAILED);
    adapter.close(goes_on);
    adapter.close(ends);
    keys_close(&keys);
}

static void *handshakes(void *failed)
{
    enum { ROUNDS = 20, PAIRS = 8 };
    struct keys keys;
    struct pair *pairs[PAIRS];
    keys_open(&keys);
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < PAIRS; i++)
            pairs[i] = open_waiting(&keys, 0, 0);
        answer(&keys);
        for (size_t i = 0; i < PAIRS; i++) {
            *(size_t *)failed += adapter.run(pairs[i]) != PROGRESS_DONE;
            adapter.close(pairs[i]);
        }
    }
    keys_close(&keys);
    return NULL;
}

void scenario_two_threads(void **state)
{
    (void)state;
    pthread_t threads[2];
    size_t failed[2] = {0};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, handshakes, &failed[i]), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(failed[i], 0);
    }
}
