/* CPU time from /proc: the format of the line, and the accounting when processes come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "storm/cost.h"

#define REST "4194560 100 0 0 0 70 30 9 -1 20 0 4 0 5555 1000000 200 18446744073709551615"

static uint64_t ticks(uint64_t ns)
{
    return ns / (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

static void test_line(void **state)
{
    (void)state;
    struct process process;
    assert_true(process_parse("42 (nginx) S 7 42 42 0 -1 " REST, &process));
    assert_int_equal(process.pid, 42);
    assert_int_equal(process.parent, 7);
    assert_string_equal(process.name, "nginx");
    assert_int_equal(ticks(process.own), 100);
    assert_int_equal(ticks(process.children), 8); /* -1 is how the kernel prints a wrapped value */
    assert_int_equal(process.started, 5555);
    assert_false(process.ended);
    assert_true(process_parse("42 (nginx) Z 7 42 42 0 -1 " REST, &process));
    assert_true(process.ended);
}

static void test_name_with_parentheses(void **state)
{
    (void)state;
    struct process process;
    assert_true(process_parse("42 (a) R 1 (b c)) S 7 42 42 0 -1 " REST, &process));
    assert_string_equal(process.name, "a) R 1 (b c)");
    assert_int_equal(process.parent, 7);
}

static void test_no_line(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "42", "42 (x", "42 )x( S 7", "42 (x) S 7 1 2", "0 (x) S"};
    struct process process;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(process_parse(bad[i], &process));
}

static void test_living_born_and_ended(void **state)
{
    (void)state;
    struct process then[] = {
        {.pid = 1, .name = "master", .own = 10, .children = 5, .started = 1},
        {.pid = 2, .parent = 1, .name = "worker", .own = 100, .started = 2},
        {.pid = 3, .parent = 1, .name = "worker", .own = 50, .started = 3},
    };
    /* 3 ended at 70 and was waited for; its number is reused. */
    struct process now[] = {
        {.pid = 1, .name = "master", .own = 11, .children = 75, .started = 1},
        {.pid = 2, .parent = 1, .name = "worker", .own = 140, .started = 2},
        {.pid = 3, .parent = 1, .name = "worker", .own = 8, .started = 9},
    };
    struct cost_sample before = {then, 3}, after = {now, 3};
    struct cost_line lines[COST_LINES_MAX];
    uint64_t total;
    assert_int_equal(cost_between(&before, &after, lines, &total), 3);
    assert_string_equal(lines[0].name, "master");
    assert_int_equal(lines[0].ns, 1);
    assert_string_equal(lines[1].name, "worker");
    assert_int_equal(lines[1].processes, 2);
    assert_int_equal(lines[1].ns, 48);
    assert_string_equal(lines[2].name, "");
    assert_int_equal(lines[2].ns, 20);
    assert_int_equal(total, 69);
}

static void test_own_process_and_child(void **state)
{
    (void)state;
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(pipe_ends[1]);
        _exit(read(pipe_ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    pid_t self = getpid();
    struct cost_sample sample;
    assert_true(cost_take(&sample, &self, 1, NULL));
    assert_true(cost_lives(&sample, self));
    assert_true(cost_lives(&sample, child));
    assert_false(cost_lives(&sample, getppid()));
    assert_int_equal(sample.count, 2);
    cost_free(&sample);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_name_with_parentheses),
        cmocka_unit_test(test_no_line),
        cmocka_unit_test(test_living_born_and_ended),
        cmocka_unit_test(test_own_process_and_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
