/*
 * The admin listener: /metrics (Prometheus text format 0.0.4), /status.json, and / for people. One
 * libmicrohttpd thread; it only reads what loop threads count, of this worker and of those before.
 */
#ifndef PROXY_ADMIN_ADMIN_H
#define PROXY_ADMIN_ADMIN_H

#include <stdbool.h>

#include "proxy/admin/setup.h"

struct admin;
/* Opens the files that it reads. NULL: failed, and logged. */
struct admin *admin_new(const struct admin_setup *setup);
/* Serves, on a thread of its own. False: failed, and logged; to be stopped all the same. */
bool admin_start(struct admin *admin);
/* Ends what is being answered and frees; the listener stays open. NULL is allowed. */
void admin_stop(struct admin *admin);

#endif
