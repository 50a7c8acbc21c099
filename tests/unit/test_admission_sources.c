/* What sources have cost, and how many connections they have: tables of fixed size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <string.h>

#include "proxy/worker/admission/limits.h"
#include "proxy/worker/admission/order.h"

#define START NS_PER_S
#define MANY_SOURCES 30000

static struct source source(const char *text)
{
    struct sockaddr_storage address = {.ss_family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET};
    void *bytes = address.ss_family == AF_INET
                      ? (void *)&((struct sockaddr_in *)&address)->sin_addr
                      : (void *)&((struct sockaddr_in6 *)&address)->sin6_addr;
    assert_int_equal(inet_pton(address.ss_family, text, bytes), 1);
    return source_from(&address);
}

static struct source numbered(unsigned number)
{
    struct sockaddr_storage address = {.ss_family = AF_INET};
    ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(0x0a000000 + number);
    return source_from(&address);
}

static void assert_prefix(uint64_t prefix, const char *text)
{
    char buffer[PREFIX_TEXT_SIZE];
    assert_string_equal(prefix_print(prefix, buffer), text);
}

static void test_prefixes(void **state)
{
    (void)state;
    struct source ipv4 = source("203.0.113.7"), ipv6 = source("2001:db8:1:2ff::1");
    const struct sockaddr_storage local = {.ss_family = AF_UNIX};
    struct source unknown = source_from(&local);
    assert_prefix(ipv4.narrow, "203.0.113.7/32");
    assert_int_equal(ipv4.wide, PREFIX_NONE);
    assert_prefix(ipv6.narrow, "2001:db8:1:200::/56");
    assert_prefix(ipv6.wide, "2001:db8:1::/48");
    assert_prefix(unknown.narrow, "no address");
    assert_true(source_has_address(&ipv4));
    assert_false(source_has_address(&unknown));
    assert_int_equal(source("::ffff:203.0.113.7").narrow, ipv4.narrow);
    assert_int_equal(source("2001:db8:1:200::2").narrow, ipv6.narrow);
    assert_int_not_equal(source("2001:db8:1:100::2").narrow, ipv6.narrow);
    assert_int_equal(source("2001:db8:1:100::2").wide, ipv6.wide);
    /* a /48 whose last byte is zero is not one of its /56 */
    assert_int_not_equal(source("2001:db8:1::").narrow, source("2001:db8:1::").wide);
}

/* ---- shares ---- */

static int open_shares(void **state)
{
    static struct shares shares;
    *state = &shares;
    return shares_open(&shares, START) ? 0 : -1;
}

static int close_shares(void **state)
{
    shares_close(*state);
    return 0;
}

static double level_of(const struct shares *shares, const struct source *source)
{
    const struct share *share = shares_find(shares, source->narrow);
    assert_non_null(share);
    return shares_level(shares, share, source->wide);
}

static void assert_cost(const struct shares *shares, const struct source *source, uint64_t now,
                        double cost)
{
    double found = shares_cost(shares, level_of(shares, source), now);
    assert_true(found > 0.99 * cost - 2 && found < 1.01 * cost + 2);
}

static void test_cost_halves(void **state)
{
    struct shares *shares = *state;
    struct source a = source("192.0.2.1");
    assert_null(shares_find(shares, a.narrow));
    shares_charge(shares, &a, NS_PER_MS, START);
    assert_cost(shares, &a, START, NS_PER_MS);
    shares_charge(shares, &a, NS_PER_MS, START);
    assert_cost(shares, &a, START, 2 * NS_PER_MS);
    assert_cost(shares, &a, START + SHARES_HALF_LIFE, NS_PER_MS);
    shares_charge(shares, &a, NS_PER_MS, START + 2 * SHARES_HALF_LIFE);
    assert_cost(shares, &a, START + 2 * SHARES_HALF_LIFE, 1.5 * NS_PER_MS);
    /* after a year there is nothing left, and what is charged then is exact */
    uint64_t year = START + 365 * 24 * 3600 * NS_PER_S;
    assert_cost(shares, &a, year, 0);
    shares_charge(shares, &a, NS_PER_MS, year);
    assert_cost(shares, &a, year, NS_PER_MS);
}

static void test_order_of_levels_does_not_change(void **state)
{
    struct shares *shares = *state;
    struct source early = source("192.0.2.1"), late = source("192.0.2.2");
    shares_charge(shares, &early, 3 * NS_PER_MS, START);
    shares_charge(shares, &late, NS_PER_MS, START + SHARES_HALF_LIFE);
    assert_true(level_of(shares, &early) > level_of(shares, &late));
    shares_charge(shares, &late, NS_PER_MS, START + 2 * SHARES_HALF_LIFE);
    assert_true(level_of(shares, &early) < level_of(shares, &late));
}

/* A neighbour in the /48 of a source that has had much is compared by a part of that, and one in
 * another /48 is not. */
static void test_wide_prefix(void **state)
{
    struct shares *shares = *state;
    struct source heavy = source("2001:db8:1:100::1"), neighbour = source("2001:db8:1:200::1"),
                  other = source("2001:db8:2:100::1");
    shares_charge(shares, &heavy, 160 * NS_PER_MS, START);
    shares_charge(shares, &neighbour, NS_PER_MS, START);
    shares_charge(shares, &other, NS_PER_MS, START);
    assert_cost(shares, &heavy, START, 160 * NS_PER_MS);
    assert_cost(shares, &neighbour, START, 161.0 / WIDE_SHARES * NS_PER_MS);
    assert_cost(shares, &other, START, NS_PER_MS);
}

/* One owner of a /48 that uses each of its /56 once has as much as WIDE_SHARES of them. */
static void test_wide_prefix_is_charged_for_all_of_it(void **state)
{
    struct shares *shares = *state;
    struct sockaddr_storage address = {.ss_family = AF_INET6};
    struct in6_addr *ipv6 = &((struct sockaddr_in6 *)&address)->sin6_addr;
    assert_int_equal(inet_pton(AF_INET6, "2001:db8:7::1", ipv6), 1);
    for (int i = 0; i < 256; i++) {
        ipv6->s6_addr[6] = (uint8_t)i;
        struct source one = source_from(&address);
        shares_charge(shares, &one, NS_PER_MS, START);
    }
    struct source last = source_from(&address);
    assert_cost(shares, &last, START, 256.0 / WIDE_SHARES * NS_PER_MS);
}

/* More sources than there are places: those that have had much stay known, nobody is charged for
 * another, and nothing grows. */
static void test_full_table(void **state)
{
    struct shares *shares = *state;
    struct source heavy = source("192.0.2.1");
    shares_charge(shares, &heavy, NS_PER_S, START);
    for (unsigned i = 0; i < MANY_SOURCES; i++) {
        struct source one = numbered(i);
        shares_charge(shares, &one, NS_PER_US, START);
        assert_cost(shares, &one, START, NS_PER_US);
    }
    assert_cost(shares, &heavy, START, NS_PER_S);
    unsigned known = 0;
    for (unsigned i = 0; i < MANY_SOURCES; i++)
        known += shares_find(shares, numbered(i).narrow) != NULL;
    /* by chance a few sets are not full */
    assert_in_range(known, SHARES_SETS * SHARES_WAYS * 99 / 100, SHARES_SETS * SHARES_WAYS - 1);
}

static void test_heaviest(void **state)
{
    struct shares *shares = *state;
    for (unsigned i = 0; i < 100; i++) {
        struct source one = numbered(i);
        shares_charge(shares, &one, (i == 17 ? 5000 : 1 + i % 7) * NS_PER_US, START);
    }
    bool found = false;
    for (int i = 0; i < SHARES_HEAVIEST; i++)
        found |= shares->heaviest[i].prefix == numbered(17).narrow;
    assert_true(found);
}

/* ---- limits ---- */

static enum limited take(struct source_limits *limits, const char *text, uint64_t now)
{
    struct source one = source(text);
    return source_limits_take(limits, &one, now);
}

static void test_limit_of_connections(void **state)
{
    (void)state;
    struct source_limits *limits = source_limits_new(3, 0);
    struct source a = source("192.0.2.1");
    assert_non_null(limits);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++)
            assert_int_equal(take(limits, "192.0.2.1", START), LIMITED_NOT);
        assert_int_equal(take(limits, "192.0.2.1", START), LIMITED_CONNECTIONS);
        assert_int_equal(take(limits, "192.0.2.2", START), LIMITED_NOT);
        struct source b = source("192.0.2.2");
        source_limits_give(limits, &b);
        for (int i = 0; i < 3; i++)
            source_limits_give(limits, &a);
    }
    source_limits_free(limits);
}

/* What is refused is not counted, in neither of the two prefixes. */
static void test_limit_of_a_wide_prefix(void **state)
{
    (void)state;
    struct source_limits *limits = source_limits_new(1, 0);
    struct sockaddr_storage address = {.ss_family = AF_INET6};
    struct in6_addr *ipv6 = &((struct sockaddr_in6 *)&address)->sin6_addr;
    assert_int_equal(inet_pton(AF_INET6, "2001:db8:7::1", ipv6), 1);
    unsigned taken = 0;
    for (int i = 0; i < 256; i++) {
        ipv6->s6_addr[6] = (uint8_t)i;
        struct source one = source_from(&address);
        taken += source_limits_take(limits, &one, START) == LIMITED_NOT;
        assert_int_equal(source_limits_take(limits, &one, START), LIMITED_CONNECTIONS);
    }
    assert_int_equal(taken, WIDE_SHARES);
    ipv6->s6_addr[6] = 0;
    struct source first = source_from(&address);
    source_limits_give(limits, &first);
    ipv6->s6_addr[6] = 255;
    struct source last = source_from(&address);
    assert_int_equal(source_limits_take(limits, &last, START), LIMITED_NOT);
    source_limits_free(limits);
}

static void test_limit_of_a_rate(void **state)
{
    (void)state;
    struct source_limits *limits = source_limits_new(0, 5);
    unsigned at_once = 5 * LIMITS_BURST_S;
    for (unsigned i = 0; i < at_once; i++)
        assert_int_equal(take(limits, "192.0.2.1", START), LIMITED_NOT);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(take(limits, "192.0.2.1", START), LIMITED_RATE);
    assert_int_equal(take(limits, "192.0.2.2", START), LIMITED_NOT);
    /* refusals have cost it nothing */
    for (int i = 0; i < 5; i++)
        assert_int_equal(take(limits, "192.0.2.1", START + NS_PER_S), LIMITED_NOT);
    assert_int_equal(take(limits, "192.0.2.1", START + NS_PER_S), LIMITED_RATE);
    source_limits_free(limits);
}

/* A thousand sources at their limit do not make another one seem to be at its own. */
static void test_busy_neighbours(void **state)
{
    (void)state;
    struct source_limits *limits = source_limits_new(4, 0);
    for (unsigned i = 0; i < 1000; i++)
        for (int j = 0; j < 4; j++) {
            struct source one = numbered(i);
            source_limits_take(limits, &one, START);
        }
    unsigned refused = 0;
    for (unsigned i = 1000; i < 2000; i++) {
        struct source one = numbered(i);
        refused += source_limits_take(limits, &one, START) != LIMITED_NOT;
    }
    assert_true(refused <= 4); /* expected: one in some thousands */
    source_limits_free(limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test_setup_teardown(test_cost_halves, open_shares, close_shares),
        cmocka_unit_test_setup_teardown(test_order_of_levels_does_not_change, open_shares,
                                        close_shares),
        cmocka_unit_test_setup_teardown(test_wide_prefix, open_shares, close_shares),
        cmocka_unit_test_setup_teardown(test_wide_prefix_is_charged_for_all_of_it, open_shares,
                                        close_shares),
        cmocka_unit_test_setup_teardown(test_full_table, open_shares, close_shares),
        cmocka_unit_test_setup_teardown(test_heaviest, open_shares, close_shares),
        cmocka_unit_test(test_limit_of_connections),
        cmocka_unit_test(test_limit_of_a_wide_prefix),
        cmocka_unit_test(test_limit_of_a_rate),
        cmocka_unit_test(test_busy_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
