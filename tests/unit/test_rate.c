/* Rates: how they are written, what a bucket lets through, and what outlives a connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keyd/rate.h"

#define KEYS 2
#define START (100 * NS_PER_S)

static const struct rate unlimited;

static void assert_rate(const char *text, uint64_t interval, uint64_t burst)
{
    struct rate rate;
    assert_true(rate_parse(text, &rate));
    assert_int_equal(rate.interval, interval);
    assert_int_equal(rate.burst, burst);
}

static void as_written(void **state)
{
    (void)state;
    assert_rate("1/s", NS_PER_S, NS_PER_S);
    assert_rate("1000/s", NS_PER_MS, NS_PER_S);
    assert_rate("1000000/s", NS_PER_US, NS_PER_S);
    assert_rate("1000/s burst 1", NS_PER_MS, NS_PER_MS);
    assert_rate("10/s burst 1000000", NS_PER_S / 10, 100000 * NS_PER_S);
    assert_rate("60/m", NS_PER_S, NS_PER_S);
    assert_rate("1/m", 60 * NS_PER_S, 60 * NS_PER_S);
    static const char *const wrong[] = {"",          "0/s",          "1000001/s",    "-1/s",
                                        "1/h",       " 1/s",         "1/s ",         "1/sx",
                                        "1000",      "1/s burst",    "1/s burst 0",  "1/s burst -1",
                                        "x/s",       "1/s burst 1x", "1/s, burst 1", "1 /s",
                                        "1.5/s",     "/s",           "1/s burst 1 ", "1/s  burst 1",
                                        "1/sburst 1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct rate rate;
        if (rate_parse(wrong[i], &rate))
            fail_msg("\"%s\" was taken", wrong[i]);
    }
}

/* How many of `tries` requests with a key are let through at once. */
static unsigned take(struct account *account, const struct rate *all, const struct rate *key,
                     size_t index, uint64_t now, unsigned tries)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < tries; i++)
        taken += account_take(account, all, key, index, now);
    return taken;
}

static void a_bucket(void **state)
{
    (void)state;
    struct list accounts;
    struct rate rate;
    list_init(&accounts);
    assert_true(rate_parse("10/s burst 5", &rate));
    struct account *account = account_open(&accounts, 7, KEYS, START);
    assert_int_equal(take(account, &unlimited, &rate, 0, START, 100), 5);
    assert_int_equal(take(account, &unlimited, &rate, 0, START + 99 * NS_PER_MS, 100), 0);
    assert_int_equal(take(account, &unlimited, &rate, 0, START + 100 * NS_PER_MS, 100), 1);
    assert_int_equal(take(account, &unlimited, &rate, 0, START + 350 * NS_PER_MS, 100), 2);
    assert_int_equal(take(account, &unlimited, &rate, 0, START + 60 * NS_PER_S, 100), 5);
    /* in the long run it is the rate, however often it is asked */
    unsigned taken = 0;
    for (uint64_t now = START + 120 * NS_PER_S; now < START + 130 * NS_PER_S; now += NS_PER_MS)
        taken += take(account, &unlimited, &rate, 0, now, 3);
    assert_in_range(taken, 104, 105);
    /* another key's is another bucket */
    assert_int_equal(take(account, &unlimited, &rate, 1, START, 100), 5);
    assert_int_equal(take(account, &unlimited, &unlimited, 1, START, 100), 100);
    account_close(account);
    accounts_free(&accounts);
}

static void both_limits(void **state)
{
    (void)state;
    struct list accounts;
    struct rate all, key;
    list_init(&accounts);
    assert_true(rate_parse("10/s burst 6", &all));
    assert_true(rate_parse("10/s burst 4", &key));
    struct account *account = account_open(&accounts, 7, KEYS, START);
    assert_int_equal(take(account, &all, &key, 0, START, 100), 4);
    /* what the key refuses was not taken from all */
    assert_int_equal(take(account, &all, &key, 1, START, 100), 2);
    assert_int_equal(take(account, &unlimited, &key, 1, START, 100), 2);
    account_close(account);
    accounts_free(&accounts);
}

static void accounts_are_of_users(void **state)
{
    (void)state;
    struct list accounts;
    struct rate rate;
    list_init(&accounts);
    assert_true(rate_parse("1/s burst 2", &rate));
    struct account *first = account_open(&accounts, 7, KEYS, START);
    assert_ptr_equal(account_open(&accounts, 7, KEYS, START), first);
    assert_ptr_not_equal(account_open(&accounts, 8, KEYS, START), first);
    assert_int_equal(take(first, &unlimited, &rate, 1, START, 9), 2);
    account_close(first);
    account_close(first);
    /* connecting again does not fill it */
    assert_ptr_equal(account_open(&accounts, 7, KEYS, START + NS_PER_S), first);
    assert_int_equal(take(first, &unlimited, &rate, 1, START + NS_PER_S, 9), 1);
    account_close(first);
    /* without connections it is forgotten when it is full, and not before */
    account_close(account_open(&accounts, 9, KEYS, START + 2 * NS_PER_S));
    assert_ptr_equal(account_open(&accounts, 7, KEYS, START + 2 * NS_PER_S), first);
    account_close(first);
    size_t count = 0;
    account_open(&accounts, 10, KEYS, START + 60 * NS_PER_S);
    list_for_each(node, &accounts) count++;
    assert_int_equal(count, 2); /* of 8, who is still connected, and of 10 */
    accounts_free(&accounts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_written),
        cmocka_unit_test(a_bucket),
        cmocka_unit_test(both_limits),
        cmocka_unit_test(accounts_are_of_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
