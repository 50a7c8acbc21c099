#include "operator/rates.h"

#include <math.h>

const struct column columns[] = {
    {"signatures/s", "signatures_per_second", COLUMN_RATE, "signatures_total", NULL, 1, 0},
    {"waiting", "waiting", COLUMN_NOW, "queued", NULL, 1, 0},
    {"oldest ms", "oldest_milliseconds", COLUMN_NOW, "queue_age_microseconds", NULL, 1e-3, 3},
    {"batches/s", "batches_per_second", COLUMN_RATE, "batches_total", NULL, 1, 0},
    {"a batch", "signatures_per_batch", COLUMN_PORTION, "signatures_total", "batches_total", 1, 1},
    {"lanes", "lanes_per_batch", COLUMN_PORTION, "lanes_filled_total", "lane_batches_total", 1, 1},
    {"clients", "clients", COLUMN_NOW, "sessions", NULL, 1, 0},
    {"refused/s", "refused_per_second", COLUMN_RATE, "refused_total", NULL, 1, 0},
    {"busy/s", "busy_per_second", COLUMN_RATE, "busy_total", NULL, 1, 0},
    {"failed/s", "failed_per_second", COLUMN_RATE, "failed_total", NULL, 1, 0},
};
const size_t column_count = sizeof columns / sizeof columns[0];

double column_value(const struct column *column, const struct figures *figures,
                    const struct figures *before)
{
    const struct immure_stat *stat = figures_find(figures, column->figure);
    double value = (double)NAN;
    if (column->kind == COLUMN_NOW)
        value = stat != NULL ? (double)stat->value : (double)NAN;
    else if (column->kind == COLUMN_RATE)
        value = figures_rate(figures, before, column->figure);
    else if (figures_rate(figures, before, column->whole) > 0)
        value = figures_rate(figures, before, column->figure) /
                figures_rate(figures, before, column->whole);
    return value * column->scale;
}
