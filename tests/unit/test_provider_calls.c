/* Which system calls a provider section opens the filter for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sys/syscall.h>

#include "keyd/driver/provider/calls.h"

struct outcome {
    bool good;
    int calls[PROVIDER_CALLS_MAX];
    char text[1024], reason[256];
};

static struct outcome ask(struct provider_config config, char **names, size_t count)
{
    struct outcome outcome = {.good = false};
    config.system_calls = (struct text_list){names, count};
    outcome.good = provider_calls(&config, outcome.calls, outcome.text, sizeof outcome.text,
                                  outcome.reason, sizeof outcome.reason);
    return outcome;
}

static bool allows(const struct outcome *outcome, int call)
{
    for (size_t i = 0; outcome->calls[i] != -1; i++)
        if (outcome->calls[i] == call)
            return true;
    return false;
}

static void test_unknown_modules_get_the_least(void **state)
{
    (void)state;
    struct outcome outcome = ask((struct provider_config){.module = "own"}, NULL, 0);
    assert_true(outcome.good);
    assert_string_equal(outcome.text, "poll ppoll");
    assert_true(allows(&outcome, SYS_poll) && allows(&outcome, SYS_ppoll));
    assert_int_equal(outcome.calls[2], -1);
}

static void test_known_modules(void **state)
{
    (void)state;
    struct outcome pkcs11 = ask((struct provider_config){.engine = "pkcs11"}, NULL, 0);
    assert_true(pkcs11.good && allows(&pkcs11, SYS_openat) && !allows(&pkcs11, SYS_socket));
    struct outcome tpm = ask((struct provider_config){.module = "tpm2"}, NULL, 0);
    assert_true(tpm.good && allows(&tpm, SYS_connect) && !allows(&tpm, SYS_openat));
    struct outcome qat = ask((struct provider_config){.engine = "qatengine"}, NULL, 0);
    assert_true(qat.good && allows(&qat, SYS_ioctl) && !allows(&qat, SYS_connect));
    assert_false(allows(&pkcs11, SYS_execve) || allows(&tpm, SYS_execve) ||
                 allows(&qat, SYS_execve));
}

static void test_named_calls_replace_what_is_known(void **state)
{
    (void)state;
    char *names[] = {"sockets", "timerfd_create", "connect"};
    struct outcome outcome = ask((struct provider_config){.engine = "pkcs11"}, names, 3);
    assert_true(outcome.good && allows(&outcome, SYS_timerfd_create));
    assert_true(allows(&outcome, SYS_socket) && !allows(&outcome, SYS_openat));
    const char *first = strstr(outcome.text, "connect");
    assert_null(strstr(first + 1, " connect"));
}

static void test_mistakes(void **state)
{
    (void)state;
    char *names[] = {"openat", "fly"};
    struct outcome outcome = ask((struct provider_config){.module = "own"}, names, 2);
    assert_false(outcome.good);
    assert_non_null(strstr(outcome.reason, "\"fly\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_modules_get_the_least),
        cmocka_unit_test(test_known_modules),
        cmocka_unit_test(test_named_calls_replace_what_is_known),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
