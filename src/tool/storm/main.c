/* immure-storm: starts the threads, samples their counters each second, and reports. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/signals.h"
#include "storm/handshaker.h"
#include "storm/options.h"
#include "storm/prober.h"
#include "storm/report.h"

#define EXIT_USAGE 2
/* The time that the threads get to start before the run begins. */
#define START_DELAY (20 * NS_PER_MS)

struct storm_thread {
    pthread_t id;
    struct handshaker *handshaker; /* NULL: the prober's thread */
    struct run *run;
    struct thread_tally *tally;
};

struct run {
    struct storm_options options;
    struct target target;
    struct timetable timetable;
    struct prober *prober;
    unsigned probes; /* connected at the start */
    struct storm_thread *threads;
    unsigned thread_count;
    FILE *json;
    bool live;

    struct tally *sum, *previous; /* over all threads and phases: now, and a second ago */
    struct cost_sample cost_before, cost_after;
    uint64_t handshakes_before, handshakes_after; /* at the times of these samples */
    const char *cost_unknown;
};

static bool complain(const char *text)
{
    fprintf(stderr, "immure-storm: %s\n", text);
    return false;
}

static bool run_prepare_threads(struct run *run)
{
    const struct storm_options *options = &run->options;
    bool storm = options->rate > 0 || options->concurrency > 0;
    unsigned count = (storm ? options->threads : 0) + (options->probes > 0 ? 1 : 0);
    run->threads = calloc(options->threads + 1UL, sizeof run->threads[0]);
    run->sum = calloc(1, sizeof *run->sum);
    run->previous = calloc(1, sizeof *run->previous);
    if (!run->threads || !run->sum || !run->previous)
        return complain("out of memory");
    for (unsigned i = 0; i < count; i++) {
        struct storm_thread *thread = &run->threads[i];
        thread->run = run;
        thread->tally = calloc(1, sizeof *thread->tally);
        if (thread->tally == NULL)
            return complain("out of memory");
        run->thread_count++;
        if (storm && i < options->threads)
            thread->handshaker = handshaker_new(&run->target, i, thread->tally);
        else
            run->prober = prober_new(&run->target, thread->tally);
        if (thread->handshaker == NULL && run->prober == NULL)
            return complain(run->target.error);
    }
    return true;
}

static bool run_prepare(struct run *run)
{
    const struct storm_options *options = &run->options;
    if (!target_init(&run->target, options))
        return complain(run->target.error);
    if (options->json) {
        run->json = strcmp(options->json, "-") == 0 ? stdout : fopen(options->json, "we");
        if (run->json == NULL) {
            fprintf(stderr, "immure-storm: %s: %s\n", options->json, strerror(errno));
            return false;
        }
    }
    if (!run_prepare_threads(run))
        return false;
    if (run->prober && (run->probes = prober_connect(run->prober)) == 0)
        return complain("no probe got a connection");
    return true;
}

static void *thread_main(void *arg)
{
    struct storm_thread *thread = arg;
    if (thread->handshaker)
        handshaker_run(thread->handshaker, &thread->run->timetable);
    else
        prober_run(thread->run->prober, &thread->run->timetable);
    return NULL;
}

static void run_sum(struct run *run, struct tally *sum, uint64_t *open)
{
    memset(sum, 0, sizeof *sum);
    *open = 0;
    for (unsigned i = 0; i < run->thread_count; i++) {
        const struct thread_tally *tally = run->threads[i].tally;
        for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
            tally_merge(sum, &tally->phase[phase]);
        *open += counter_read(&tally->open);
    }
}

static uint64_t handshakes_of(const struct tally *tally)
{
    return counter_read(&tally->full) + counter_read(&tally->resumed);
}

static void run_take_cost(struct run *run, struct cost_sample *sample,
                          const struct cost_sample *before, uint64_t *handshakes)
{
    const struct storm_options *options = &run->options;
    if (options->cost_count == 0 || run->cost_unknown)
        return;
    uint64_t open;
    run_sum(run, run->sum, &open);
    *handshakes = handshakes_of(run->sum);
    if (!cost_take(sample, options->cost, options->cost_count, before))
        run->cost_unknown = "/proc cannot be read";
    for (unsigned i = 0; i < options->cost_count && !run->cost_unknown; i++)
        if (!cost_lives(sample, options->cost[i]))
            run->cost_unknown = before ? "a process of --cost ended during the run"
                                       : "a process of --cost does not exist";
}

/* Reports the last second to the screen and the file. */
static void run_report_second(struct run *run, uint64_t now)
{
    struct second second = {
        .at = ((double)now - (double)run->timetable.start) / (double)NS_PER_S,
        .left =
            now < run->timetable.end ? (double)(run->timetable.end - now) / (double)NS_PER_S : 0,
        .warmup = now <= run->timetable.measured,
    };
    struct tally *difference = malloc(sizeof *difference);
    if (difference == NULL)
        return;
    run_sum(run, run->sum, &second.open);
    memcpy(difference, run->sum, sizeof *difference);
    tally_subtract(difference, run->previous);
    memcpy(run->previous, run->sum, sizeof *run->previous);
    second.tally = difference;
    if (run->live)
        report_live(stderr, &run->options, &second);
    if (run->json)
        json_second(run->json, &second);
    free(difference);
}

static void sleep_until(uint64_t moment)
{
    struct timespec time = {.tv_sec = (time_t)(moment / NS_PER_S),
                            .tv_nsec = (long)(moment % NS_PER_S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
        continue;
}

/* Seconds are counted from the beginning of the measured part; the warm-up has negative ones. */
static void run_watch(struct run *run)
{
    const struct timetable *timetable = &run->timetable;
    uint64_t tick = timetable->measured - run->options.warmup / NS_PER_S * NS_PER_S;
    for (; tick < timetable->end; tick += NS_PER_S) {
        sleep_until(tick);
        if (tick > timetable->start)
            run_report_second(run, tick);
        if (tick == timetable->measured)
            run_take_cost(run, &run->cost_before, NULL, &run->handshakes_before);
    }
    sleep_until(timetable->end);
    run_take_cost(run, &run->cost_after, &run->cost_before, &run->handshakes_after);
    run_report_second(run, timetable->end);
}

static bool run_threads(struct run *run)
{
    unsigned started = 0;
    int error = 0;
    run->timetable.start = clock_now() + START_DELAY;
    run->timetable.measured = run->timetable.start + run->options.warmup;
    run->timetable.end = run->timetable.measured + run->options.duration;
    while (started < run->thread_count && error == 0) {
        struct storm_thread *thread = &run->threads[started];
        error = pthread_create(&thread->id, NULL, thread_main, thread);
        if (error == 0)
            started++;
    }
    if (error == 0)
        run_watch(run);
    for (unsigned i = 0; i < started; i++)
        pthread_join(run->threads[i].id, NULL);
    return error == 0 || complain(strerror(error));
}

static void fill_cost(struct run *run, struct run_result *result,
                      struct cost_line lines[COST_LINES_MAX])
{
    if (run->options.cost_count > 0 && !run->cost_unknown) {
        result->cost_line_count =
            cost_between(&run->cost_before, &run->cost_after, lines, &result->cost);
        result->cost_lines = lines;
        result->cost_handshakes = run->handshakes_after - run->handshakes_before;
        if (result->cost_handshakes == 0)
            run->cost_unknown = "no handshake was completed";
        else if (result->cost < COST_MIN)
            run->cost_unknown = "the processes used less than 50 ms";
        else
            result->cost_known = true;
    }
    result->cost_unknown = run->cost_unknown;
}

static int run_finish(struct run *run)
{
    struct cost_line lines[COST_LINES_MAX];
    struct tally *phases = calloc(PHASE_COUNT, sizeof *phases);
    struct core_share *shares = calloc(run->thread_count, sizeof *shares);
    if (phases == NULL || shares == NULL) {
        complain("out of memory");
        free(phases);
        free(shares);
        return EXIT_FAILURE;
    }
    struct run_result result = {.options = &run->options,
                                .warmup = &phases[PHASE_WARMUP],
                                .measured = &phases[PHASE_MEASURED],
                                .description = "",
                                .seconds = (double)run->options.duration / (double)NS_PER_S,
                                .shares = shares,
                                .share_count = run->thread_count,
                                .probes = run->probes};
    for (unsigned i = 0; i < run->thread_count; i++) {
        const struct storm_thread *thread = &run->threads[i];
        for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
            tally_merge(&phases[phase], &thread->tally->phase[phase]);
        double measured = (double)counter_read(&thread->tally->measured);
        shares[i].used = (double)counter_read(&thread->tally->cpu) / measured;
        shares[i].waited = (double)counter_read(&thread->tally->waited) / measured;
        result.held_up += counter_read(&thread->tally->held_up);
        if (thread->handshaker) {
            result.own_cpu += counter_read(&thread->tally->cpu);
            if (result.description[0] == 0)
                result.description = handshaker_description(thread->handshaker);
        }
    }
    fill_cost(run, &result, lines);

    struct warnings warnings;
    report_warnings(&result, &warnings);
    if (run->live)
        fputs("\r\033[K", stderr);
    if (run->json)
        json_summary(run->json, &result, &warnings);
    if (run->json != stdout)
        report_table(stdout, &result, &warnings);
    bool measured =
        handshakes_of(result.measured) > 0 || counter_read(&result.measured->answered) > 0;
    if (!measured)
        complain("nothing could be measured: no handshake was completed, no probe answered");
    free(phases);
    free(shares);
    return measured ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void run_free(struct run *run)
{
    if (run->prober)
        prober_free(run->prober);
    for (unsigned i = 0; i < run->thread_count; i++) {
        if (run->threads[i].handshaker)
            handshaker_free(run->threads[i].handshaker);
        free(run->threads[i].tally);
    }
    free(run->threads);
    free(run->sum);
    free(run->previous);
    target_release(&run->target);
    cost_free(&run->cost_before);
    cost_free(&run->cost_after);
    if (run->json && run->json != stdout)
        fclose(run->json);
}

/* Raises the limit of descriptors, and makes timers as precise as the kernel can. */
static void prepare_process(void)
{
    signals_reset(false);
    signal(SIGPIPE, SIG_IGN);
    descriptor_raise_limit();
    prctl(PR_SET_TIMERSLACK, 1UL);
}

int main(int argc, char **argv)
{
    struct run run = {0};
    switch (options_parse(&run.options, argc, argv, stdout, stderr)) {
    case OPTIONS_DONE:
        return EXIT_SUCCESS;
    case OPTIONS_BAD:
        return EXIT_USAGE;
    case OPTIONS_RUN:
        break;
    }
    prepare_process();
    run.live = isatty(STDERR_FILENO);
    int status = EXIT_FAILURE;
    if (run_prepare(&run) && run_threads(&run))
        status = run_finish(&run);
    run_free(&run);
    return status;
}
