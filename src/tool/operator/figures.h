/*
 * The figures of an immured at one moment. What they are called and mean comes with them; those
 * that are newer than this libimmure are only counted.
 */
#ifndef OPERATOR_FIGURES_H
#define OPERATOR_FIGURES_H

#include "operator/connection.h"
#include "wire/limits.h"

struct figures {
    uint64_t at; /* ns, when they came */
    size_t count, unknown;
    struct immure_stat list[WIRE_STATS_MAX];
};

enum immure_error figures_ask(struct figures *figures, struct connection *connection);
/* NULL: this immured has no such figure. */
const struct immure_stat *figures_find(const struct figures *figures, const char *name);
/*
 * How much a counter has grown each second since `before`; all that it counted if immured was
 * started again in between. Not a number if either has no such figure.
 */
double figures_rate(const struct figures *figures, const struct figures *before, const char *name);

#endif
