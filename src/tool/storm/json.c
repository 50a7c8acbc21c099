/* The report as JSON lines, which docs/immure-storm.md describes. */
#include <stdlib.h>

#include "base/clock.h"
#include "storm/report.h"

static double seconds(uint64_t ns)
{
    return (double)ns / (double)NS_PER_S;
}

static void write_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20)
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void write_histogram(FILE *out, const char *name, const struct histogram *histogram)
{
    uint64_t count = histogram_count(histogram);
    fprintf(out, ",\"%s\":{\"count\":%llu", name, (unsigned long long)count);
    for (size_t i = 0; i < REPORT_QUANTILES; i++) {
        fprintf(out, ",\"%s\":", report_quantile_names[i]);
        if (quantile_stands(count, report_quantiles[i]))
            fprintf(out, "%.9f", seconds(histogram_quantile(histogram, report_quantiles[i])));
        else
            fputs("null", out);
    }
    if (count > 0)
        fprintf(out, ",\"mean\":%.9f,\"max\":%.9f}",
                seconds(counter_read(&histogram->sum)) / (double)count,
                seconds(counter_read(&histogram->max)));
    else
        fputs(",\"mean\":null,\"max\":null}", out);
}

static void write_failures(FILE *out, const char *name, const counter *failures)
{
    const char *separator = "";
    fprintf(out, ",\"%s\":{", name);
    for (unsigned i = 0; i < FAILURE_COUNT; i++) {
        if (counter_read(&failures[i]) == 0)
            continue;
        fputs(separator, out);
        write_text(out, failure_name(i));
        fprintf(out, ":%llu", (unsigned long long)counter_read(&failures[i]));
        separator = ",";
    }
    fputc('}', out);
}

static void write_tally(FILE *out, const struct tally *tally)
{
    const struct {
        const char *name;
        const counter *value;
    } counters[] = {{"started", &tally->started},
                    {"full", &tally->full},
                    {"resumed", &tally->resumed},
                    {"failed", &tally->failed},
                    {"answered", &tally->answered},
                    {"lost", &tally->lost},
                    {"requests_failed", &tally->requests_failed}};
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        fprintf(out, ",\"%s\":%llu", counters[i].name,
                (unsigned long long)counter_read(counters[i].value));
    write_failures(out, "failures", tally->failures);
    write_failures(out, "probe_failures", tally->probe_failures);
    write_histogram(out, "handshake_seconds", &tally->handshake);
    write_histogram(out, "reply_seconds", &tally->reply);
    write_histogram(out, "probe_seconds", &tally->probe);
    write_histogram(out, "lateness_seconds", &tally->lateness);
    write_histogram(out, "probe_lateness_seconds", &tally->probe_lateness);
}

void json_second(FILE *out, const struct second *second)
{
    fprintf(out, "{\"type\":\"second\",\"at\":%.3f,\"warmup\":%s,\"open\":%llu", second->at,
            second->warmup ? "true" : "false", (unsigned long long)second->open);
    write_tally(out, second->tally);
    fputs("}\n", out);
    fflush(out);
}

static void write_cost(FILE *out, const struct run_result *result)
{
    if (!result->cost_known) {
        fputs(",\"cost\":null", out);
        return;
    }
    fprintf(out, ",\"cost\":{\"handshakes\":%llu,\"cpu_seconds\":%.6f,\"processes\":{",
            (unsigned long long)result->cost_handshakes, seconds(result->cost));
    for (size_t i = 0; i < result->cost_line_count; i++) {
        if (i > 0)
            fputc(',', out);
        write_text(out, result->cost_lines[i].name);
        fprintf(out, ":%.6f", seconds(result->cost_lines[i].ns));
    }
    fputs("}}", out);
}

void json_summary(FILE *out, const struct run_result *result, const struct warnings *warnings)
{
    const struct storm_options *options = result->options;
    fputs("{\"type\":\"summary\",\"target\":", out);
    write_text(out, options->host);
    fputs(",\"port\":", out);
    write_text(out, options->port);
    fprintf(out, ",\"rate\":%g,\"concurrency\":%u,\"threads\":%u,\"probes\":%u,\"probe_rate\":%g",
            options->rate, options->concurrency, options->threads, result->probes,
            options->probes > 0 ? options->probe_rate : 0);
    fprintf(out, ",\"seconds\":%.3f,\"negotiated\":", result->seconds);
    write_text(out, result->description);
    fprintf(out, ",\"warmup_started\":%llu,\"warmup_full\":%llu,\"warmup_resumed\":%llu",
            (unsigned long long)counter_read(&result->warmup->started),
            (unsigned long long)counter_read(&result->warmup->full),
            (unsigned long long)counter_read(&result->warmup->resumed));
    write_tally(out, result->measured);
    write_cost(out, result);
    fprintf(out, ",\"held_up\":%llu,\"own_cpu_seconds\":%.6f,\"core_shares\":[",
            (unsigned long long)result->held_up, seconds(result->own_cpu));
    for (unsigned i = 0; i < result->share_count; i++)
        fprintf(out, "%s%.4f", i > 0 ? "," : "", result->shares[i].used);
    fputs("],\"warnings\":[", out);
    for (unsigned i = 0; i < warnings->count; i++) {
        if (i > 0)
            fputc(',', out);
        write_text(out, warnings->text[i]);
    }
    fputs("]}\n", out);
    fflush(out);
}
