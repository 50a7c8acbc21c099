/*
 * The worker's walls. It handles everything that strangers send, so it gives up what it does not
 * need: files, TCP to anything but its backends, other processes, most system calls. A build with a
 * sanitizer has no walls, because the sanitizer's run time needs all of this; the log says so.
 */
#ifndef PROXY_WORKER_CORE_CONFINE_H
#define PROXY_WORKER_CORE_CONFINE_H

#include <stdbool.h>

#include "proxy/config/config.h"
#include "walls/report.h"

/* Both return false with the reason logged; the worker must then end. */

/* To be called when all files have been read and the final user is set, before there are other
 * threads. From here on there are no core files and no access to files, the process is not
 * dumpable, and its code is sealed. */
bool confine_process(const struct proxy_config *config, struct report *report);
/* To be called when all threads run: each of them is limited to the system calls on the list. */
bool confine_calls(struct report *report);

#endif
