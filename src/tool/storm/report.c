#include "storm/report.h"

#include <stdarg.h>

#include "base/clock.h"

const double report_quantiles[REPORT_QUANTILES] = {0.5, 0.9, 0.99, 0.999, 0.9999, 0.999999};
const char *const report_quantile_names[REPORT_QUANTILES] = {"P50",   "P90",    "P99",
                                                             "P99.9", "P99.99", "P99.9999"};

bool quantile_stands(uint64_t count, double quantile)
{
    /* The slack is needed because 1 - 0.999999 is not exact in binary. */
    return (double)count * (1 - quantile) > QUANTILE_SAMPLES_BEYOND - 0.001;
}

static double milliseconds(uint64_t ns)
{
    return (double)ns / (double)NS_PER_MS;
}

static void __attribute__((format(printf, 2, 3)))
warn(struct warnings *warnings, const char *format, ...)
{
    va_list arguments;
    if (warnings->count == WARNINGS_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(warnings->text[warnings->count++], sizeof warnings->text[0], format, arguments);
    va_end(arguments);
}

/* Judges by P99, or by P90 if the run is too short for that. */
static void warn_late(struct warnings *warnings, const char *what, const struct histogram *lateness)
{
    double quantile = quantile_stands(histogram_count(lateness), 0.99) ? 0.99 : 0.9;
    uint64_t late = histogram_quantile(lateness, quantile);
    if (quantile_stands(histogram_count(lateness), quantile) && late > LATENESS_LIMIT)
        warn(warnings, "%s late: %.0f %% by more than %.1f ms; the times measured contain it", what,
             100 * (1 - quantile), milliseconds(late));
}

static void warn_busy(struct warnings *warnings, const char *kind, unsigned number,
                      const struct core_share *share)
{
    const char *limit = "immure-storm itself is the limit";
    if (share->used > BUSY_SHARE)
        warn(warnings, "%s: %s thread %u used %.0f %% of a core", limit, kind, number,
             100 * share->used);
    else if (share->used + share->waited > BUSY_SHARE)
        warn(warnings, "%s: %s thread %u used %.0f %% of a core, and waited for one for %.0f %%",
             limit, kind, number, 100 * share->used, 100 * share->waited);
}

void report_warnings(const struct run_result *result, struct warnings *warnings)
{
    const struct storm_options *options = result->options;
    *warnings = (struct warnings){0};
    for (unsigned i = 0; i < result->share_count; i++)
        warn_busy(warnings, i < options->threads ? "storm" : "probe", i + 1, &result->shares[i]);
    warn_late(warnings, "handshakes were started", &result->measured->lateness);
    warn_late(warnings, "probes were sent", &result->measured->probe_lateness);
    if (result->held_up > 0)
        warn(warnings, "%llu starts waited because %u connections were open (--max-open)",
             (unsigned long long)result->held_up, options->max_open);
    if (result->probes < options->probes)
        warn(warnings, "only %u of %u probes had a connection when the run began", result->probes,
             options->probes);
    if (counter_read(&result->measured->failures[FAILURE_NO_PORT]) > 0 ||
        counter_read(&result->measured->failures[FAILURE_NO_DESCRIPTOR]) > 0)
        warn(warnings, "immure-storm ran out of local ports or descriptors");
    if (result->cost_unknown)
        warn(warnings, "no CPU cost: %s", result->cost_unknown);
}

void report_live(FILE *out, const struct storm_options *options, const struct second *second)
{
    const struct tally *tally = second->tally;
    fprintf(out, "\r\033[K%s %.0f s left", second->warmup ? "warm-up," : "measuring,",
            second->left);
    if (options->rate > 0 || options->concurrency > 0) {
        fprintf(out, "   %llu handshakes/s, %llu failed, %llu open",
                (unsigned long long)(counter_read(&tally->full) + counter_read(&tally->resumed)),
                (unsigned long long)(counter_read(&tally->failed) +
                                     counter_read(&tally->requests_failed)),
                (unsigned long long)second->open);
        if (quantile_stands(histogram_count(&tally->handshake), 0.5))
            fprintf(out, ", P50 %.2f ms", milliseconds(histogram_quantile(&tally->handshake, 0.5)));
    }
    if (options->probes > 0 && quantile_stands(histogram_count(&tally->probe), 0.5))
        fprintf(out, "   probes P50 %.2f ms", milliseconds(histogram_quantile(&tally->probe, 0.5)));
    fflush(out);
}

static void print_histogram(FILE *out, const char *name, const struct histogram *histogram)
{
    uint64_t count = histogram_count(histogram);
    if (count == 0)
        return;
    fprintf(out, "%-22s %9llu", name, (unsigned long long)count);
    for (size_t i = 0; i < REPORT_QUANTILES; i++)
        if (quantile_stands(count, report_quantiles[i]))
            fprintf(out, " %9.3f",
                    milliseconds(histogram_quantile(histogram, report_quantiles[i])));
        else
            fprintf(out, " %9s", "");
    fprintf(out, " %9.3f\n", milliseconds(counter_read(&histogram->max)));
}

static void print_latencies(FILE *out, const struct tally *tally)
{
    fprintf(out, "\n%-22s %9s", "ms", "count");
    for (size_t i = 0; i < REPORT_QUANTILES; i++)
        fprintf(out, " %9s", report_quantile_names[i]);
    fprintf(out, " %9s\n", "max");
    print_histogram(out, "handshake", &tally->handshake);
    print_histogram(out, "reply", &tally->reply);
    print_histogram(out, "probe round trip", &tally->probe);
    print_histogram(out, "own lateness: starts", &tally->lateness);
    print_histogram(out, "own lateness: probes", &tally->probe_lateness);
}

static void print_failures(FILE *out, const char *what, const counter *failures)
{
    for (unsigned i = 0; i < FAILURE_COUNT; i++)
        if (counter_read(&failures[i]) > 0)
            fprintf(out, "  %s: %llu %s\n", what, (unsigned long long)counter_read(&failures[i]),
                    failure_name(i));
}

static void print_counts(FILE *out, const struct run_result *result)
{
    const struct tally *tally = result->measured;
    uint64_t full = counter_read(&tally->full), resumed = counter_read(&tally->resumed);
    if (counter_read(&tally->started) > 0) {
        fprintf(out,
                "handshakes: %llu full, %llu resumed, %llu failed; %.1f/s good (warm-up: %llu)",
                (unsigned long long)full, (unsigned long long)resumed,
                (unsigned long long)counter_read(&tally->failed),
                (double)(full + resumed) / result->seconds,
                (unsigned long long)(counter_read(&result->warmup->full) +
                                     counter_read(&result->warmup->resumed)));
        fprintf(out, "%s%s\n", result->description[0] ? "; " : "", result->description);
    }
    if (result->options->request)
        fprintf(out, "requests: %llu good, %llu failed\n",
                (unsigned long long)histogram_count(&tally->reply),
                (unsigned long long)counter_read(&tally->requests_failed));
    print_failures(out, "failed", tally->failures);
    if (result->options->probes > 0)
        fprintf(out, "probes: %u connections, %llu answered, %llu lost\n", result->probes,
                (unsigned long long)counter_read(&tally->answered),
                (unsigned long long)counter_read(&tally->lost));
    print_failures(out, "probe", tally->probe_failures);
}

static void print_cost(FILE *out, const struct run_result *result)
{
    if (!result->cost_known)
        return;
    double per = 1 / (double)result->cost_handshakes / (double)NS_PER_US;
    fprintf(out, "\nserver CPU: %.1f us per handshake (%llu handshakes, %.0f %% of a core)\n",
            (double)result->cost * per, (unsigned long long)result->cost_handshakes,
            100 * (double)result->cost / (double)NS_PER_S / result->seconds);
    for (size_t i = 0; i < result->cost_line_count; i++)
        fprintf(out, "  %-16s %9.1f us   (%u process%s)\n",
                result->cost_lines[i].name[0] ? result->cost_lines[i].name : "(ended)",
                (double)result->cost_lines[i].ns * per, result->cost_lines[i].processes,
                result->cost_lines[i].processes == 1 ? "" : "es");
}

static void print_self(FILE *out, const struct run_result *result)
{
    uint64_t good =
        counter_read(&result->measured->full) + counter_read(&result->measured->resumed);
    fprintf(out, "\nown CPU:");
    if (good > 0 && result->own_cpu > 0)
        fprintf(out, " %.1f us per handshake;",
                (double)result->own_cpu / (double)good / (double)NS_PER_US);
    for (unsigned i = 0; i < result->share_count; i++)
        fprintf(out, "%s %s thread %u: %.0f %% of a core", i == 0 ? "" : ",",
                i < result->options->threads ? "storm" : "probe", i + 1,
                100 * result->shares[i].used);
    fputc('\n', out);
}

void report_table(FILE *out, const struct run_result *result, const struct warnings *warnings)
{
    const struct storm_options *options = result->options;
    fprintf(out, "immure-storm %s:%s, ", options->host, options->port);
    if (options->rate > 0)
        fprintf(out, "open loop at %g/s, ", options->rate);
    else if (options->concurrency > 0)
        fprintf(out, "closed loop of %u, ", options->concurrency);
    if (options->probes > 0)
        fprintf(out, "%u probes at %g/s each, ", options->probes, options->probe_rate);
    fprintf(out, "%.1f s\n", result->seconds);
    print_counts(out, result);
    print_latencies(out, result->measured);
    print_cost(out, result);
    print_self(out, result);
    for (unsigned i = 0; i < warnings->count; i++)
        fprintf(out, "warning: %s\n", warnings->text[i]);
}
