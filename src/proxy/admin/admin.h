/*
 * The admin listener: /metrics (Prometheus text format 0.0.4), /status.json, and / for people. One
 * libmicrohttpd thread, which only reads the counters of the loop threads, of this worker and of
 * earlier ones.
 */
#ifndef PROXY_ADMIN_ADMIN_H
#define PROXY_ADMIN_ADMIN_H

#include <stdbool.h>

#include "proxy/admin/setup.h"

struct admin;
/* Opens the files of /proc that it reads later. NULL: the reason was logged. */
struct admin *admin_new(const struct admin_setup *setup);
/* Starts serving on a thread of its own. False: the reason was logged, and admin_stop() is still
 * due. */
bool admin_start(struct admin *admin);
/* Other certificates are in force. When this returns, nobody reads those before. */
void admin_set_certificates(struct admin *admin, const struct certificate_info *certificates,
                            size_t count, size_t failed);
/* Ends pending requests and frees; the listener stays open. NULL is allowed. */
void admin_stop(struct admin *admin);

#endif
