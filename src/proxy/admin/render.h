/* Renders the admin pages from a struct status. Errors are reported by ferror(). */
#ifndef PROXY_ADMIN_RENDER_H
#define PROXY_ADMIN_RENDER_H

#include <stdio.h>

#include "proxy/admin/status.h"

/* /metrics: Prometheus text format 0.0.4 */
void render_metrics(FILE *out, const struct status *status);
/* /status.json: docs/status.md */
void render_status(FILE *out, const struct status *status);
/* The HTML of / without JavaScript: a paragraph on signing and connections, and the tables */
void render_summary(FILE *out, const struct status *status);
void render_tables(FILE *out, const struct status *status);

#endif
