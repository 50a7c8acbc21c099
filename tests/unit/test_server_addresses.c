/* Addresses of servers from the resolver: which of them the master accepts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/un.h>

#include "proxy/config/server_addresses.h"

#define PORT 443

static struct server_addresses two_hosts(void)
{
    struct server_addresses addresses = {.count = 0};
    const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
    assert_true(server_addresses_add(&addresses, (const struct sockaddr *)&v4, sizeof v4));
    assert_true(server_addresses_add(&addresses, (const struct sockaddr *)&v6, sizeof v6));
    return addresses;
}

static void test_hosts(void **state)
{
    (void)state;
    const struct server_addresses none = {.count = 0}, two = two_hosts();
    assert_true(server_addresses_are_hosts(&none, PORT));
    assert_true(server_addresses_are_hosts(&two, PORT));
    assert_false(server_addresses_are_hosts(&two, PORT + 1));
}

static void test_what_is_no_host(void **state)
{
    (void)state;
    struct server_addresses addresses = two_hosts();
    addresses.of[1].length = 1 << 20; /* longer than the struct */
    assert_false(server_addresses_are_hosts(&addresses, PORT));
    addresses.of[1].length = sizeof(struct sockaddr_in);
    assert_false(server_addresses_are_hosts(&addresses, PORT));
    addresses = two_hosts();
    addresses.of[0].socket.ss_family = AF_UNIX;
    addresses.of[0].length = sizeof(struct sockaddr_un);
    assert_false(server_addresses_are_hosts(&addresses, PORT));
    addresses = two_hosts();
    addresses.count = SERVER_ADDRESSES_MAX + 1;
    assert_false(server_addresses_are_hosts(&addresses, PORT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_what_is_no_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
