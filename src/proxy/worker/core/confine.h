/*
 * The worker's walls. It touches everything that strangers send, so it gives up what it does not
 * need: files, TCP but to its backends, other processes, most system calls. In a build with a
 * sanitizer they stay open, because its run time needs them, and the log says so.
 */
#ifndef PROXY_WORKER_CORE_CONFINE_H
#define PROXY_WORKER_CORE_CONFINE_H

#include <stdbool.h>

#include "proxy/config/config.h"
#include "walls/report.h"

/* Both return false with the reason logged; the worker must then end. */

/* With all files read, as its final user, before there are other threads: no core files, not
 * dumpable, its code sealed, no files any more. */
bool confine_process(const struct config *config, struct report *report);
/* When all threads run: from here on only the system calls on the list, in every one of them. */
bool confine_calls(struct report *report);

#endif
