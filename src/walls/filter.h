/* A list of system calls (seccomp): any other kills the process. */
#ifndef WALLS_FILTER_H
#define WALLS_FILTER_H

#include <seccomp.h>
#include <stdbool.h>

#include "walls/report.h"

/* `calls` ends with -1. 0, or an errno below 0. */
int filter_allow(scmp_filter_ctx filter, const int *calls);
/* Memory as malloc() needs it, but none to run code from. */
int filter_allow_memory(scmp_filter_ctx filter);

/* Lets `fill` add rules, then puts the filter into force for all threads, for good. False: the
 * reason was logged. */
bool filter_load(int (*fill)(scmp_filter_ctx filter, const void *arg), const void *arg,
                 struct report *report);

#endif
