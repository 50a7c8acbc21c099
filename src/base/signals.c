#include "base/signals.h"

#include <signal.h>

void signals_reset(bool hangup)
{
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        if (number != SIGINT && number != SIGQUIT && (number != SIGHUP || hangup))
            signal(number, SIG_DFL); /* fails for some signals, which cannot be ignored anyway */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}
