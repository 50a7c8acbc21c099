/* The cache of TLS 1.2 sessions: what it keeps, what it replaces, and several threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "proxy/worker/route/session_cache.h"

#define WAYS 8 /* the entries of a set, which are those of the smallest cache */

/* The first bytes of an id choose the set; the last ones make ids differ. */
static void make_id(uint8_t id[SESSION_ID_SIZE], uint64_t set, uint32_t number)
{
    memset(id, 0, SESSION_ID_SIZE);
    memcpy(id, &set, sizeof set);
    memcpy(id + SESSION_ID_SIZE - sizeof number, &number, sizeof number);
}

static void put(struct session_cache *cache, uint64_t set, uint32_t number)
{
    uint8_t id[SESSION_ID_SIZE], bytes[sizeof number];
    make_id(id, set, number);
    memcpy(bytes, &number, sizeof number);
    session_cache_put(cache, id, bytes, sizeof bytes);
}

static bool has(struct session_cache *cache, uint64_t set, uint32_t number)
{
    uint8_t id[SESSION_ID_SIZE], bytes[SESSION_BYTES_MAX];
    make_id(id, set, number);
    size_t length = session_cache_get(cache, id, bytes);
    assert_true(length == 0 || (length == sizeof number && memcmp(bytes, &number, length) == 0));
    return length > 0;
}

static void keeps_and_forgets(void **state)
{
    (void)state;
    struct session_cache *cache = session_cache_new(1024);
    uint8_t id[SESSION_ID_SIZE];
    for (uint32_t i = 0; i < 100; i++)
        put(cache, i, i);
    for (uint32_t i = 0; i < 100; i++)
        assert_true(has(cache, i, i));
    assert_false(has(cache, 1, 2));
    make_id(id, 7, 7);
    session_cache_remove(cache, id);
    assert_false(has(cache, 7, 7));
    assert_true(has(cache, 8, 8));
    session_cache_free(cache);
}

static void the_oldest_gives_way(void **state)
{
    (void)state;
    struct session_cache *cache = session_cache_new(1);
    for (uint32_t i = 0; i < 3 * WAYS; i++)
        put(cache, 0, i);
    for (uint32_t i = 0; i < 3 * WAYS; i++)
        assert_int_equal(has(cache, 0, i), i >= 2 * WAYS);
    session_cache_free(cache);
}

static void too_long(void **state)
{
    (void)state;
    struct session_cache *cache = session_cache_new(1);
    uint8_t id[SESSION_ID_SIZE], bytes[SESSION_BYTES_MAX + 1] = {0};
    make_id(id, 0, 1);
    session_cache_put(cache, id, bytes, sizeof bytes);
    assert_int_equal(session_cache_get(cache, id, bytes), 0);
    session_cache_put(cache, id, bytes, SESSION_BYTES_MAX);
    assert_int_equal(session_cache_get(cache, id, bytes), SESSION_BYTES_MAX);
    session_cache_free(cache);
}

#define THREADS 4
#define ROUNDS 20000

/* A session that is found is complete, whatever other threads do with its set meanwhile. */
static void *use(void *arg)
{
    struct session_cache *cache = arg;
    size_t torn = 0;
    uint8_t id[SESSION_ID_SIZE], bytes[SESSION_BYTES_MAX];
    for (uint32_t i = 0; i < ROUNDS; i++) {
        make_id(id, i % 3, i % 16);
        memset(bytes, (int)(i % 16), sizeof bytes);
        session_cache_put(cache, id, bytes, sizeof bytes);
        size_t length = session_cache_get(cache, id, bytes);
        for (size_t j = 0; j < length; j++)
            torn += bytes[j] != i % 16;
        if (i % 5 == 0)
            session_cache_remove(cache, id);
    }
    return (void *)torn;
}

static void threads(void **state)
{
    (void)state;
    struct session_cache *cache = session_cache_new(32);
    pthread_t handles[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&handles[i], NULL, use, cache), 0);
    for (int i = 0; i < THREADS; i++) {
        void *torn;
        pthread_join(handles[i], &torn);
        assert_null(torn);
    }
    session_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_and_forgets),
        cmocka_unit_test(the_oldest_gives_way),
        cmocka_unit_test(too_long),
        cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
