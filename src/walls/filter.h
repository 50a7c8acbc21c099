/* A list of permitted system calls (seccomp): any other kills the process. */
#ifndef WALLS_FILTER_H
#define WALLS_FILTER_H

#include <seccomp.h>
#include <stdbool.h>

#include "walls/report.h"

/* `calls` ends with -1. Returns 0 or -errno. */
int filter_allow(scmp_filter_ctx filter, const int *calls);
/* Permits the calls that malloc() needs, but no executable memory. */
int filter_allow_memory(scmp_filter_ctx filter);

/* Lets `fill` add rules, then installs the filter on all threads, for good. False: the reason was
 * logged. */
bool filter_load(int (*fill)(scmp_filter_ctx filter, const void *arg), const void *arg,
                 struct report *report);

#endif
