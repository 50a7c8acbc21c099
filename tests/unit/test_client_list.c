/* LIST in pages, STATS and PING in the sans-I/O core. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "link.h"
#include "wire/stats.h"

static void on_key(void *arg, const struct immure_reply *reply)
{
    struct told *told = arg;
    const struct immure_key *key = reply->key;
    if (key == NULL) {
        on_reply(arg, reply);
        return;
    }
    assert_int_equal(reply->error, IMMURE_OK);
    assert_int_equal(key->id[0], told->keys % 256);
    assert_int_equal(key->spki_length, 2000);
    assert_string_equal(key->backend, "openssl");
    if (told->keys % 2 == 0)
        assert_string_equal(key->lanes_backend, "multibuffer");
    else
        assert_null(key->lanes_backend);
    assert_int_equal(key->lanes_from, 3);
    assert_int_equal(key->lanes, 8);
    assert_int_equal(key->scheme_count, 1);
    assert_int_equal(key->schemes[0], IMMURE_ED25519);
    assert_string_equal(key->name, "key?");
    told->keys++;
    if (told->cancels != 0)
        immure_request_cancel(told->client, told->cancels);
}

static void on_stats(void *arg, const struct immure_reply *reply)
{
    struct told *told = arg;
    const struct immure_stat *stats = reply->stats;
    on_reply(arg, reply);
    told->stats = reply->stat_count;
    if (reply->error == IMMURE_OK) {
        assert_int_equal(reply->stat_count, 2);
        assert_string_equal(stats[0].name, "signatures_total");
        assert_true(stats[0].counter);
        assert_int_equal(stats[0].value, 5);
        assert_null(stats[1].name);
    }
}

#define KEYS 100

/* Sends the page that begins with the key that the last LIST asked for. */
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
                                    .backend = WIRE_BACKEND_OPENSSL,
                                    .lanes_backend = i % 2 == 0 ? WIRE_BACKEND_MULTIBUFFER : 0,
                                    .lanes_from = 3,
                                    .lanes = 8,
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
        link_take(link);
        if (link->peer.count == asked)
            return pages;
        asked = link->peer.count;
        say_page(link);
        link_give(link);
    }
}

static void test_stats_and_ping(void **state)
{
    struct link *link = *state;
    struct told stats = {0}, ping = {0}, refused = {0};
    immure_request_id id;
    assert_int_equal(link_submit(link, IMMURE_STATS, on_stats, &stats, NULL), IMMURE_OK);
    assert_int_equal(link_submit(link, IMMURE_PING, on_reply, &ping, NULL), IMMURE_OK);
    assert_int_equal(link_submit(link, IMMURE_STATS, on_stats, &refused, &id), IMMURE_OK);
    link_take(link);
    struct wire_figure figures[] = {{WIRE_STAT_SIGNATURES_TOTAL, 5}, {9999, 6}};
    assert_true(wire_put_figures(&link->peer.output, link->peer.requests[0].id, figures, 2));
    assert_true(wire_put_plain(&link->peer.output, WIRE_PONG, link->peer.requests[1].id, NULL, 0));
    peer_say_error(&link->peer, id, IMMURE_E_BUSY, "later");
    link_give(link);
    assert_int_equal(stats.calls, 1);
    assert_int_equal(stats.error, IMMURE_OK);
    assert_int_equal(ping.calls, 1);
    assert_int_equal(ping.error, IMMURE_OK);
    assert_int_equal(refused.calls, 1);
    assert_int_equal(refused.error, IMMURE_E_BUSY);
}

static void test_list_in_pages(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    assert_int_equal(link_submit(link, IMMURE_LIST, on_key, &told, NULL), IMMURE_OK);
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
    assert_int_equal(link_submit(link, IMMURE_LIST, on_key, &told, NULL), IMMURE_OK);
    link_take(link);
    say_page(link);
    link_give(link);
    link_take(link);
    assert_true(link->peer.requests[1].first > 0);
    link_lose(link);
    link_take(link);
    assert_int_equal(link->peer.requests[0].first, 0);
    peer_reset(&link->peer);
    link_lose(link);
    list_all(link);
    assert_int_equal(told.keys, KEYS);
    assert_int_equal(told.calls, 1);
}

static void test_list_cancelled_by_its_callback(void **state)
{
    struct link *link = *state;
    struct told told = {.client = link->client};
    assert_int_equal(link_submit(link, IMMURE_LIST, on_key, &told, &told.cancels), IMMURE_OK);
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
    assert_int_equal(link_submit(link, IMMURE_LIST, on_key, &told, NULL), IMMURE_OK);
    list_all(link);
    assert_int_equal(told.keys, 0);
    assert_int_equal(told.calls, 1);
    assert_int_equal(told.error, IMMURE_E_FULL);
    struct told after = {0};
    link_ask(link, &after, 0); /* the pages' bytes are free again */
    link_end(link);
}

static void test_list_that_never_ends(void **state)
{
    struct link *link = *state;
    struct told told = {0};
    assert_int_equal(link_submit(link, IMMURE_LIST, on_key, &told, NULL), IMMURE_OK);
    link_take(link);
    say_page(link);
    link_give(link);
    link_take(link);
    link->peer.requests[link->peer.count - 1].first = 0; /* the first page again */
    say_page(link);
    assert_int_equal(peer_give(&link->peer, link->client, SIZE_MAX), IMMURE_E_UNEXPECTED);
    assert_int_equal(told.keys, 0);
    link_end(link);
}

static void test_free_ends_what_is_pending(void **state)
{
    struct link *link = *state;
    struct told told[4] = {0};
    link_ask(link, &told[0], 0);
    link_take(link);
    immure_request_id cancelled = link_ask(link, &told[1], 0);
    assert_int_equal(link_submit(link, IMMURE_LIST, on_key, &told[2], NULL), IMMURE_OK);
    assert_int_equal(link_submit(link, IMMURE_STATS, on_stats, &told[3], NULL), IMMURE_OK);
    link_take(link);
    immure_request_cancel(link->client, cancelled);
    link_end(link);
    assert_int_equal(told[1].calls, 0);
    for (size_t i = 0; i < 4; i++) {
        if (i != 1) {
            assert_int_equal(told[i].calls, 1);
            assert_int_equal(told[i].error, IMMURE_E_CLOSED);
        }
    }
    immure_client_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(test_stats_and_ping),
        LINK_TEST(test_list_in_pages),
        LINK_TEST(test_list_begins_again_after_a_reset),
        LINK_TEST(test_list_cancelled_by_its_callback),
        LINK_TEST(test_list_too_long_for_the_bound),
        LINK_TEST(test_list_that_never_ends),
        LINK_TEST(test_free_ends_what_is_pending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
