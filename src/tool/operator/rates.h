/* What immure top shows first: figures put into relation, one column each. */
#ifndef OPERATOR_RATES_H
#define OPERATOR_RATES_H

#include "operator/figures.h"

struct column {
    const char *label; /* of the table: "signatures/s" */
    const char *name;  /* in JSON: "signatures_per_second" */
    enum column_kind {
        COLUMN_NOW,    /* the figure, times `scale` */
        COLUMN_RATE,   /* the figure each second */
        COLUMN_PORTION /* the figure for each of `whole`, since the last time */
    } kind;
    const char *figure, *whole;
    double scale;
    unsigned decimals;
};

/* The first is the one that matters most. */
extern const struct column columns[];
extern const size_t column_count;

/* Not a number: this immured has no such figure, or there was nothing to count. */
double column_value(const struct column *column, const struct figures *figures,
                    const struct figures *before);

#endif
