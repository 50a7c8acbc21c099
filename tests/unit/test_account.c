/* Accounts: who has one, what it may hold, what it is charged, and when it is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "keyd/keys/key.h"
#include "keyd/rules/account.h"

#define KEYS 2
#define START (100 * NS_PER_S)
#define MOST 3

static const struct rate unlimited;
static struct share signers;
static struct accounts accounts;
static struct key keys[KEYS];

static int set_up(void **state)
{
    (void)state;
    accounts_init(&accounts, &signers, MOST);
    for (size_t i = 0; i < KEYS; i++)
        keys[i] = (struct key){.index = i};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    accounts_free(&accounts);
    return 0;
}

/* How many of `tries` requests with a key are admitted at once. */
static unsigned ask(struct account *account, const struct rate *all, const struct key *key,
                    uint64_t now, unsigned tries)
{
    unsigned taken = 0;
    struct key_limit limit = {.rate = NULL};
    if (key != NULL)
        limit = (struct key_limit){.rate = &key->rate, .bucket = key->index};
    for (unsigned i = 0; i < tries; i++) {
        if (!account_may_ask(account, all, limit, now))
            continue;
        account_charge(account, all, limit, KEYS, now);
        taken++;
    }
    return taken;
}

static void both_rates(void **state)
{
    (void)state;
    struct rate all;
    assert_true(rate_parse("10/s burst 6", &all));
    for (size_t i = 0; i < KEYS; i++)
        assert_true(rate_parse("10/s burst 4", &keys[i].rate));
    struct account *account = account_of(&accounts, 7, START);
    assert_int_equal(ask(account, &all, &keys[0], START, 100), 4);
    /* a request that the key's rate refuses takes nothing from the general rate */
    assert_int_equal(ask(account, &all, &keys[1], START, 100), 2);
    assert_int_equal(ask(account, &unlimited, &keys[1], START, 100), 2);
    assert_int_equal(ask(account, &all, NULL, START, 100), 0);
    assert_int_equal(ask(account, &unlimited, NULL, START, 100), 100);
}

static void an_account_is_forgotten_when_it_is_at_rest(void **state)
{
    (void)state;
    assert_true(rate_parse("1/s burst 2", &keys[1].rate));
    struct account *first = account_of(&accounts, 7, START);
    assert_ptr_equal(account_of(&accounts, 7, START), first);
    assert_int_equal(ask(first, &unlimited, &keys[1], START, 9), 2);
    assert_ptr_not_equal(account_of(&accounts, 8, START), first);
    /* connecting again does not fill it */
    assert_ptr_equal(account_of(&accounts, 7, START + NS_PER_S), first);
    assert_int_equal(ask(first, &unlimited, &keys[1], START + NS_PER_S, 9), 1);
    /* used tokens, a session, or held bytes each keep an account */
    account_of(&accounts, 9, START + 2 * NS_PER_S);
    assert_int_equal(accounts.count, 2); /* 8 is forgotten */
    assert_ptr_equal(account_of(&accounts, 7, START + 2 * NS_PER_S), first);
    size_t held = 0;
    account_hold(first, &held, 5);
    account_of(&accounts, 10, START + 60 * NS_PER_S);
    assert_ptr_equal(account_of(&accounts, 7, START + 60 * NS_PER_S), first);
    account_let_go(first, &held, 5);
    first->session_count = 1;
    account_of(&accounts, 11, START + 60 * NS_PER_S);
    assert_ptr_equal(account_of(&accounts, 7, START + 60 * NS_PER_S), first);
    first->session_count = 0;
    account_of(&accounts, 12, START + 60 * NS_PER_S);
    assert_int_equal(accounts.count, 1);
}

/* Its last session may have ended while it waited for its turn. */
static void a_forgotten_account_waits_for_nothing(void **state)
{
    (void)state;
    struct list waiting;
    list_init(&waiting);
    list_append(&waiting, &account_of(&accounts, 7, START)->input_node);
    account_of(&accounts, 8, START);
    assert_int_equal(accounts.count, 1); /* 7 is forgotten */
    assert_true(list_empty(&waiting));
}

static void beyond_the_most_one_is_shared(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= MOST; id++)
        account_of(&accounts, id, START)->session_count = 1;
    struct account *shared = account_of(&accounts, 100, START);
    assert_int_equal(shared->id, ACCOUNT_SHARED);
    assert_ptr_equal(account_of(&accounts, 101, START), shared);
    assert_int_equal(account_of(&accounts, 2, START)->id, 2);
    account_of(&accounts, 2, START)->session_count = 0;
    assert_int_equal(account_of(&accounts, 102, START)->id, 102);
}

/* Takes as much as it can in pieces of this size; returns the total. */
static size_t hoard(struct account *account, size_t *held, size_t bytes)
{
    size_t before = account->bytes;
    while (account_has_room(account, *held, bytes))
        account_hold(account, held, bytes);
    return account->bytes - before;
}

/* A single account may hold much; and however many hoard, the next one still gets some. */
static void bytes_are_bounded_by_account(void **state)
{
    (void)state;
    struct account *first = account_of(&accounts, 1, START), *second;
    first->session_count = 1;
    second = account_of(&accounts, 2, START);
    size_t sessions[24] = {0}, one = 0, newcomer = 0;
    for (size_t i = 0; i < 24; i++)
        hoard(first, &sessions[i], 1000);
    assert_in_range(first->bytes, ACCOUNTS_BYTES_MAX / 4 * 95 / 100, ACCOUNTS_BYTES_MAX / 4);
    assert_true(account_has_room(first, newcomer, 1000)); /* another session of the same account */
    assert_in_range(hoard(second, &one, 1000), 3 << 20, 5 << 20);
    for (size_t i = 0; i < 24; i++)
        account_let_go(first, &sessions[i], sessions[i]);
    account_let_go(second, &one, one);
    assert_int_equal(accounts.bytes, 0);
}

/* After enough users, a third of the rest rounds to nothing. */
static void a_few_bytes_there_are_for_everybody(void **state)
{
    (void)state;
    struct account *account = account_of(&accounts, 1, START);
    size_t held = 0;
    accounts.bytes = ACCOUNTS_BYTES_MAX;
    assert_in_range(hoard(account, &held, 1000), ACCOUNT_BYTES_LEAST - 1000, ACCOUNT_BYTES_LEAST);
    account_let_go(account, &held, held);
    accounts.bytes = 0;
}

static void unread_replies_stop_the_reading(void **state)
{
    (void)state;
    struct account *account = account_of(&accounts, 1, START);
    size_t held = 0;
    account->unread = 12 << 20;
    account_hold(account, &held, account->unread);
    assert_false(account_reads(account));
    account_let_go(account, &held, 11 << 20);
    account->unread = 1 << 20;
    assert_true(account_reads(account));
    account_let_go(account, &held, held);
    account->unread = 0;
    /* immured reads from a user who holds nothing, however much others hold */
    accounts.bytes = ACCOUNTS_BYTES_MAX;
    assert_true(account_reads(account));
    accounts.bytes = 0;
}

static void what_is_no_signature_costs_something_too(void **state)
{
    (void)state;
    struct account *account = account_of(&accounts, 1, START);
    unsigned taken = 0;
    while (account_take_aside(account, 1, START))
        taken++;
    assert_int_equal(taken, ACCOUNT_ASIDES_A_SECOND);
    assert_false(account_take_aside(account, 1, START));
    assert_true(account_take_aside(account, 10, START + 10 * NS_PER_S / ACCOUNT_ASIDES_A_SECOND));
    assert_false(account_take_aside(account, 1, START + 10 * NS_PER_S / ACCOUNT_ASIDES_A_SECOND));
    assert_true(account_take_aside(account_of(&accounts, 2, START), 1, START));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(both_rates),
        TEST(an_account_is_forgotten_when_it_is_at_rest),
        TEST(a_forgotten_account_waits_for_nothing),
        TEST(beyond_the_most_one_is_shared),
        TEST(bytes_are_bounded_by_account),
        TEST(a_few_bytes_there_are_for_everybody),
        TEST(unread_replies_stop_the_reading),
        TEST(what_is_no_signature_costs_something_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
