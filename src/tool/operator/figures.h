/*
 * A snapshot of immured's figures, with their names and descriptions. Figures that this libimmure
 * does not know are only counted.
 */
#ifndef OPERATOR_FIGURES_H
#define OPERATOR_FIGURES_H

#include "operator/connection.h"
#include "wire/limits.h"

struct figures {
    uint64_t at; /* ns, when they arrived */
    size_t count, unknown;
    struct immure_stat list[WIRE_STATS_MAX];
};

enum immure_error figures_ask(struct figures *figures, struct tool_connection *connection);
/* NULL if this immured has no such figure. */
const struct immure_stat *figures_find(const struct figures *figures, const char *name);
/*
 * The growth of a counter per second since `before`. If immured was restarted in between, all of
 * the counter is growth. NaN if either snapshot lacks the figure.
 */
double figures_rate(const struct figures *figures, const struct figures *before, const char *name);

#endif
