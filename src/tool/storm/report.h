/*
 * Reports a run: a live line, a table at the end, and the same as JSON lines. Figures without
 * enough samples are not printed.
 */
#ifndef STORM_REPORT_H
#define STORM_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "storm/cost.h"
#include "storm/handshaker.h"
#include "storm/options.h"
#include "storm/tally.h"

/* A quantile needs this many samples beyond it, or it is left blank. */
#define QUANTILE_SAMPLES_BEYOND 10
extern const double report_quantiles[];
extern const char *const report_quantile_names[]; /* "P50" ... */
#define REPORT_QUANTILES 6

/* Whether `count` samples are enough for the quantile. */
bool quantile_stands(uint64_t count, double quantile);

/* The share of the time that a thread may run, or wait for a core, before a warning calls it the
 * limit of the run. */
#define BUSY_SHARE 0.85
/* More lateness than this in the tail causes a warning. */
#define LATENESS_LIMIT NS_PER_MS
/* With less CPU time no cost is reported: the times of the two samples would matter too much. */
#define COST_MIN (50 * NS_PER_MS)

/* The shares of the measured time in which a thread ran on a core, and waited for one. */
struct core_share {
    double used, waited;
};

struct run_result {
    const struct storm_options *options;
    const struct tally *warmup, *measured; /* all threads */
    const char *description;               /* of a handshake */
    double seconds;                        /* measured */
    const struct core_share *shares; /* each storm thread's, then the prober's if there is one */
    unsigned share_count;
    uint64_t own_cpu;               /* ns of the storm threads */
    uint64_t held_up;               /* arrivals that waited because of --max-open */
    unsigned probes;                /* connected at the start */
    bool cost_known;                /* the next four are set */
    uint64_t cost, cost_handshakes; /* ns, and handshakes in the same time */
    const struct cost_line *cost_lines;
    size_t cost_line_count;
    const char *cost_unknown; /* why the cost is unknown; NULL: not asked for */
};

/* The counts of one second. */
struct second {
    double at, left; /* seconds since the start and to the end */
    bool warmup;
    struct tally *tally; /* of this second alone */
    uint64_t open;
};

/* Warnings about the run itself. */
#define WARNINGS_MAX 8
struct warnings {
    char text[WARNINGS_MAX][200];
    unsigned count;
};
void report_warnings(const struct run_result *result, struct warnings *warnings);

void report_live(FILE *out, const struct storm_options *options, const struct second *second);
void report_table(FILE *out, const struct run_result *result, const struct warnings *warnings);

void json_second(FILE *out, const struct second *second);
void json_summary(FILE *out, const struct run_result *result, const struct warnings *warnings);

#endif
