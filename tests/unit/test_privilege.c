/* Giving up root: each case in a child of its own, because there is no way back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <grp.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/privilege.h"

enum { REFUSED = 1, DROPPED = 2, NOT_REALLY = 3, NO_REASON = 4 };

static int drop_in_child(const char *user, uid_t expected)
{
    pid_t child = fork();
    if (child == 0) {
        char error[256] = "";
        if (!privilege_drop(user, error, sizeof error))
            _exit(error[0] != '\0' && strchr(error, '\n') == NULL ? REFUSED : NO_REASON);
        bool gone = getuid() == expected && geteuid() == expected && setuid(0) != 0 &&
                    seteuid(0) != 0 && setgid(0) != 0 &&
                    (getgroups(0, NULL) == 0 || expected == getuid());
        _exit(gone ? DROPPED : NOT_REALLY);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    return file != NULL && fputs(text, file) >= 0 && fclose(file) == 0;
}

/* As `unshare -Ur` makes it. */
static void a_namespace_with_root_alone(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        char error[256] = "", map[32];
        struct identity identity;
        snprintf(map, sizeof map, "0 %u 1\n", (unsigned)geteuid());
        if (unshare(CLONE_NEWUSER) != 0 || !write_text("/proc/self/uid_map", map))
            _exit(NOT_REALLY);
        if (privilege_find("65533", &identity, error, sizeof error))
            _exit(DROPPED);
        _exit(strcmp(error, "user 65533: uid 65533 is not mapped in this user namespace: "
                            "/proc/self/uid_map lacks it") == 0
                  ? REFUSED
                  : NO_REASON);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NOT_REALLY)
        skip(); /* this machine allows no user namespaces */
    assert_int_equal(WEXITSTATUS(status), REFUSED);
}

static void numbers_and_names(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(drop_in_child("65533", 65533), DROPPED);
    assert_int_equal(drop_in_child("nobody", 65534), DROPPED);
}

static void refused(void **state)
{
    (void)state;
    static const char *const users[] = {"",           "root",        "0",  "no such user",
                                        "4294967295", "99999999999", "-1", "12x"};
    for (size_t i = 0; i < sizeof users / sizeof users[0]; i++)
        assert_int_equal(drop_in_child(users[i], 0), REFUSED);
}

static void without_root_only_itself(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    pid_t child = fork();
    if (child == 0) {
        char error[256];
        if (!privilege_drop("65533", error, sizeof error))
            _exit(1);
        _exit(drop_in_child("65532", 65532) == REFUSED && drop_in_child("65533", 65533) == DROPPED
                  ? 0
                  : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_namespace_with_root_alone),
        cmocka_unit_test(numbers_and_names),
        cmocka_unit_test(refused),
        cmocka_unit_test(without_root_only_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
