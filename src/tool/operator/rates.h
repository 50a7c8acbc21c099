/* The derived figures that immure top shows first, one per column. */
#ifndef OPERATOR_RATES_H
#define OPERATOR_RATES_H

#include "operator/figures.h"

struct column {
    const char *label; /* in the table: "signatures/s" */
    const char *name;  /* in JSON: "signatures_per_second" */
    enum column_kind {
        COLUMN_NOW,    /* the figure, times `scale` */
        COLUMN_RATE,   /* the growth of the figure per second */
        COLUMN_PORTION /* the growth of the figure divided by that of `whole` */
    } kind;
    const char *figure, *whole;
    double scale;
    unsigned decimals;
};

/* The most important one comes first. */
extern const struct column columns[];
extern const size_t column_count;

/* NaN if this immured has no such figure, or `whole` has not grown. */
double column_value(const struct column *column, const struct figures *figures,
                    const struct figures *before);

#endif
