/* The inherited signal state is reset, except for what shells and nohup(1) ask for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdbool.h>

#include "base/signals.h"

static void ignore_and_block_all(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_IGN);
}

static bool ignored(int number)
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void all_is_undone(void **state)
{
    (void)state;
    for (int hangup = 0; hangup <= 1; hangup++) {
        sigset_t blocked;
        ignore_and_block_all();
        signals_reset(hangup != 0);
        sigprocmask(SIG_SETMASK, NULL, &blocked);
        for (int number = 1; number < NSIG; number++) {
            bool kept = number == SIGINT || number == SIGQUIT || (number == SIGHUP && hangup == 0);
            assert_int_equal(sigismember(&blocked, number) == 1, false);
            assert_int_equal(ignored(number), kept);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_is_undone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
