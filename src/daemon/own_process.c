#include "daemon/own_process.h"

#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

bool own_process_find_program(char path[static PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (length < 0)
        return false;
    path[length] = '\0';
    return true;
}

/* In a build with a sanitizer the process stays open, because a leak sanitizer has to trace it. */
void own_process_hide_memory(void)
{
#ifndef IMMURE_SANITIZE
    prctl(PR_SET_DUMPABLE, 0);
#endif
}
