/* Who may use a key: the translation of names to numbers, and whether a peer is among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keyd/rules/allow.h"

static bool resolve(struct allow *allow, char *user, char *group)
{
    char *users[] = {user}, *groups[] = {group};
    const struct access_config config = {.users = {users, user != NULL},
                                         .groups = {groups, group != NULL}};
    *allow = (struct allow){0};
    return allow_resolve(allow, &config, "test.conf");
}

static void names_and_numbers(void **state)
{
    (void)state;
    struct allow allow;
    assert_true(resolve(&allow, "root", "root"));
    assert_true(allow.given);
    assert_int_equal(allow.users[0], 0);
    assert_int_equal(allow.groups[0], 0);
    allow_free(&allow);
    assert_false(allow.given);
    assert_true(resolve(&allow, "4294967294", "4294967294"));
    assert_int_equal(allow.users[0], 4294967294);
    allow_free(&allow);
    assert_true(resolve(&allow, NULL, NULL));
    assert_false(allow.given);
    allow_free(&allow);
    static char *const wrong[] = {"4294967295", "99999999999999999999", "-1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(resolve(&allow, wrong[i], NULL));
        allow_free(&allow);
        assert_false(resolve(&allow, NULL, wrong[i]));
        allow_free(&allow);
    }
}

/* Such a list lets nobody in, unlike a missing list. */
static void names_that_are_gone(void **state)
{
    (void)state;
    const struct peer peer = {.uid = 7, .gid = 8};
    static char *const gone[] = {"nobody-of-this-name", "12x"};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        struct allow allow;
        assert_true(resolve(&allow, gone[i], NULL));
        assert_true(allow.given);
        assert_int_equal(allow.user_count, 0);
        assert_false(allow_has(&allow, &peer));
        allow_free(&allow);
        assert_true(resolve(&allow, gone[i], "8"));
        assert_true(allow_has(&allow, &peer));
        allow_free(&allow);
        assert_true(resolve(&allow, "7", gone[i]));
        assert_true(allow_has(&allow, &peer));
        allow_free(&allow);
    }
}

static void equal_lists(void **state)
{
    (void)state;
    struct allow one, same, other, none;
    char *names[] = {"7", "root", "7"}, *turned[] = {"0", "7"};
    assert_true(resolve(&none, NULL, NULL));
    assert_true(resolve(&other, "7", NULL));
    one = same = (struct allow){0};
    assert_true(allow_resolve(&one, &(struct access_config){.users = {names, 3}}, "test.conf"));
    assert_true(allow_resolve(&same, &(struct access_config){.users = {turned, 2}}, "test.conf"));
    assert_true(allow_equal(&one, &same));
    assert_false(allow_equal(&one, &other));
    assert_false(allow_equal(&other, &one));
    assert_false(allow_equal(&one, &none));
    assert_true(allow_equal(&none, &(struct allow){0}));
    allow_free(&one);
    allow_free(&same);
    allow_free(&other);
    allow_free(&none);
}

static void peers(void **state)
{
    (void)state;
    gid_t groups[] = {50, 60};
    const struct peer peer = {.uid = 7, .gid = 8, .groups = groups, .group_count = 2};
    static const struct {
        char *user, *group;
        bool allowed;
    } rows[] = {
        {"7", NULL, true},  {"8", NULL, false}, {NULL, "7", false},  {NULL, "8", true},
        {NULL, "50", true}, {NULL, "60", true}, {"60", NULL, false}, {"1", "60", true},
        {"7", "1", true},   {"1", "1", false},  {NULL, NULL, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct allow allow;
        assert_true(resolve(&allow, rows[i].user, rows[i].group));
        if (allow_has(&allow, &peer) != rows[i].allowed)
            fail_msg("row %zu", i);
        allow_free(&allow);
    }
}

static void this_process(void **state)
{
    (void)state;
    int ends[2];
    struct peer peer;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_true(peer_read(&peer, ends[0]));
    assert_int_equal(peer.pid, getpid());
    assert_int_equal(peer.uid, getuid());
    assert_int_equal(peer.gid, getgid());
    assert_int_equal(peer.group_count, getgroups(0, NULL));
    peer_free(&peer);
    close(ends[0]);
    close(ends[1]);
    assert_false(peer_read(&peer, ends[0]));
    peer_free(&peer);
}

/* A peer with so many groups that peer_read() must ask twice. Only root can set them. */
static void many_groups(void **state)
{
    (void)state;
    gid_t groups[200], before[200];
    int ends[2], count = getgroups(200, before);
    struct peer peer;
    for (size_t i = 0; i < 200; i++)
        groups[i] = (gid_t)(1000 + i);
    if (count < 0 || setgroups(200, groups) != 0)
        skip();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(setgroups((size_t)count, before), 0);
    assert_true(peer_read(&peer, ends[0]));
    assert_int_equal(peer.group_count, 200);
    assert_int_equal(peer.groups[199], 1199);
    peer_free(&peer);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_are_gone), cmocka_unit_test(equal_lists),
        cmocka_unit_test(names_and_numbers),   cmocka_unit_test(peers),
        cmocka_unit_test(this_process),        cmocka_unit_test(many_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
