/* What one master hands over to the next, and what the next one refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "proxy/master/listening.h"
#include "proxy/master/upgrade.h"

/* As upgrade.c has it; another layout is refused. */
struct message {
    uint32_t layout, count;
    struct heritage heritage;
    struct {
        int socket;
        unsigned thread;
        char name[ACTIVATION_NAME_MAX + 1];
    } sockets[4];
};

static const struct heritage left = {.tickets.current.name = {1, 2, 3}, .tickets_end = 77};

/* Whether the new master takes `size` bytes of the message; errno says why not. */
static bool takes(const struct message *message, size_t size, struct list *listening,
                  struct activation *activation, struct heritage *heritage)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
    if (size > 0)
        assert_int_equal(send(pair[0], message, size, 0), size);
    struct upgrade upgrade = {.link = pair[1]};
    list_init(listening);
    *activation = (struct activation){0};
    int settings = 0;
    bool taken = upgrade_take(&upgrade, listening, activation, heritage, &settings);
    int reason = errno;
    assert_int_equal(settings, -1);
    close(pair[0]);
    upgrade_finish(&upgrade);
    assert_int_equal(upgrade.link, -1);
    errno = reason;
    return taken;
}

static int bound_socket(bool v6_only)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
    int made = socket(AF_INET6, SOCK_STREAM, 0), only = v6_only;
    assert_int_equal(setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only), 0);
    assert_int_equal(bind(made, (struct sockaddr *)&any, sizeof any), 0);
    return made;
}

static void sockets_and_keys(void **state)
{
    (void)state;
    struct message message = {.layout = 2, .count = 3, .heritage = left};
    struct list listening;
    struct activation activation;
    struct heritage heritage;
    for (unsigned i = 0; i < 2; i++) {
        message.sockets[i].socket = bound_socket(i == 0);
        message.sockets[i].thread = 10 + i;
    }
    message.sockets[2].socket = bound_socket(true);
    strcpy(message.sockets[2].name, "https");
    assert_true(
        takes(&message, offsetof(struct message, sockets[3]), &listening, &activation, &heritage));
    assert_int_equal(activation.count, 1);
    assert_int_equal(activation_find(&activation, "https"), message.sockets[2].socket);
    activation_close(&activation);
    assert_memory_equal(&heritage, &left, sizeof left);
    unsigned seen = 0;
    list_for_each(node, &listening)
    {
        const struct listening *each = list_entry(node, struct listening, node);
        assert_int_equal(each->socket, message.sockets[seen].socket);
        assert_int_equal(each->thread, 10 + seen);
        assert_int_equal(each->both_families, seen == 1);
        assert_int_equal(each->address.socket.ss_family, AF_INET6);
        assert_true(each->lent && each->bound);
        seen++;
    }
    assert_int_equal(seen, 2);
    listening_end_loan(&listening, false);
    assert_true(list_empty(&listening));
}

/* They come along, and are not left open where the message is not taken. */
static void settings(void **state)
{
    (void)state;
    static const size_t sizes[] = {offsetof(struct message, sockets[0]), 8};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const struct message message = {.layout = 2, .count = 0, .heritage = left};
        struct list listening;
        struct activation activation = {0};
        struct heritage heritage;
        int pair[2], memory = descriptor_of_bytes("settings", "abc", 3), got = -1;
        char bytes[4];
        list_init(&listening);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
        assert_int_equal(descriptor_send(pair[0], &message, sizes[i], memory), sizes[i]);
        struct upgrade upgrade = {.link = pair[1]};
        assert_int_equal(upgrade_take(&upgrade, &listening, &activation, &heritage, &got), i == 0);
        assert_int_equal(got >= 0 ? pread(got, bytes, sizeof bytes, 0) : -1, i == 0 ? 3 : -1);
        descriptor_close(&got);
        descriptor_close(&memory);
        close(pair[0]);
        upgrade_finish(&upgrade);
    }
}

static void what_is_no_heritage(void **state)
{
    (void)state;
    const size_t whole = offsetof(struct message, sockets[1]);
    const struct message good = {.layout = 2, .count = 1, .sockets[0].socket = -1};
    const struct {
        uint32_t layout, count;
        size_t size;
        int reason;
    } rows[] = {{2, 1, whole, EBADF},  {2, 1, whole - 1, EPROTO}, {2, 1, whole + 1, EPROTO},
                {1, 1, whole, EPROTO}, {2, 0, whole, EPROTO},     {2, UINT32_MAX, whole, EPROTO},
                {2, 2, whole, EPROTO}, {2, 1, 1, EPROTO},         {2, 1, 8, EPROTO},
                {2, 1, 0, EPROTO}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct message message = good;
        struct list listening;
        struct activation activation;
        struct heritage heritage;
        message.layout = rows[i].layout;
        message.count = rows[i].count;
        assert_false(takes(&message, rows[i].size, &listening, &activation, &heritage));
        assert_int_equal(errno, rows[i].reason);
        assert_true(list_empty(&listening));
        assert_int_equal(activation.count, 0);
    }
}

static void the_new_one_reports(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
    struct upgrade old = {.link = pair[0], .pid = 1}, new = {.link = pair[1]};
    assert_false(upgrade_heard(&old));
    upgrade_report(&new);
    assert_true(upgrade_heard(&old));
    assert_false(upgrade_heard(&old));
    assert_true(old.link >= 0);
    upgrade_finish(&new);
    assert_false(upgrade_heard(&old));
    assert_int_equal(old.link, -1);
    upgrade_finish(&old);
    assert_int_equal(old.pid, 0);
}

static void no_program(void **state)
{
    (void)state;
    struct upgrade upgrade = UPGRADE_INIT;
    struct list none;
    const struct activation no_sockets = {.count = 0};
    const struct notify nobody = {.length = 0};
    list_init(&none);
    assert_true(upgrade_start(&upgrade, "/nonexistent/program", "x.conf", &none, &no_sockets, &left,
                              -1, &nobody));
    int status;
    assert_int_equal(waitpid(upgrade.pid, &status, 0), upgrade.pid);
    assert_int_equal(WEXITSTATUS(status), 127);
    assert_true(upgrade.deadline > clock_now());
    upgrade_finish(&upgrade);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_and_keys),    cmocka_unit_test(settings),
        cmocka_unit_test(what_is_no_heritage), cmocka_unit_test(the_new_one_reports),
        cmocka_unit_test(no_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
