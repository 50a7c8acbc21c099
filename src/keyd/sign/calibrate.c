/*
 * Why immured measures when it starts.
 *
 * Which way of signing is the fastest depends on the processor, on the version of libcrypto and of
 * crypto_mb, and on what a device does behind its driver: a batch that saves time on one machine
 * may lose it on another. A table by processor would be wrong on the next one, and a choice by the
 * operator would be a guess. A wrong choice is not an error that anybody sees, only slower.
 *
 * The measurement is made before the sandbox is entered and not during operation, so that every
 * thread may read a kind without a lock, and so that load cannot change what a job is charged. It
 * takes the quickest of a few runs in CPU time: the start of a service is a busy moment, and a
 * disturbance can only make a run slower. The time of a device is the time until its answer, since
 * it does not use our CPU.
 *
 * The results are used for two things: from how many jobs on a batch is worthwhile (a batch of
 * lanes costs the same however full it is), and what a job is charged before it is done (queue.c).
 * They need to be right within a factor, not exact.
 */
#include "keyd/sign/calibrate.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "keyd/sign/sample.h"

#define SAVED_PERCENT 10 /* of a job's time: a smaller gain is not worth waiting for */
#define RUNS 3           /* the quickest counts */

static uint64_t now_for(const struct driver *driver)
{
    return driver->waits ? clock_now() : clock_thread();
}

/* The time of one batch, ns; 0: it failed. */
static uint64_t measure(struct signer *signer, const struct driver *driver, const struct key *key,
                        size_t count)
{
    struct sample sample;
    if (!sample_make(&sample, key, false, count)) {
        log_error("calibration: out of memory");
        return 0;
    }
    uint64_t best = UINT64_MAX;
    for (int run = 0; run < RUNS; run++) {
        uint64_t begun = now_for(driver);
        signer_sign_by(signer, driver, sample.jobs, count);
        uint64_t took = now_for(driver) - begun;
        best = took < best ? took : best;
    }
    bool good = sample_good(&sample);
    sample_free(&sample);
    return good ? best : 0;
}

/* The least number of jobs that take at least as long one by one as in a batch. */
static size_t find_threshold(const struct kind *kind)
{
    size_t count = (size_t)((kind->small_ns + kind->single_ns - 1) / kind->single_ns);
    if (count > kind->small_width)
        count = (size_t)((kind->batch_ns + kind->single_ns - 1) / kind->single_ns);
    return count;
}

/* The least number of jobs that take at least as long in two batches, the first of them small, as
 * in one. */
static size_t find_full_from(const struct kind *kind)
{
    size_t count = kind->small_width + 1;
    while (count < kind->width &&
           kind->small_ns + kind_time(kind, count - kind->small_width) < kind->batch_ns)
        count++;
    return count;
}

static size_t find_hold_for(const struct kind *kind)
{
    uint64_t small = kind->small_ns / kind->small_width, full = kind->batch_ns / kind->width;
    return full < small - small * SAVED_PERCENT / 100 ? kind->width : kind->small_width;
}

static bool measure_batches(struct kind *kind, const struct key *key, struct signer *signer)
{
    kind->batch_ns = kind->small_ns = measure(signer, kind->batch, key, kind->width);
    if (kind->small_width < kind->width && kind->batch_ns != 0)
        kind->small_ns = measure(signer, kind->batch, key, kind->small_width);
    return kind->small_ns != 0;
}

static void log_batches(const struct kind *kind, const char *name)
{
    char small[64] = "";
    if (kind->small_width < kind->width)
        snprintf(small, sizeof small, ", %zu in %.3f ms", kind->small_width,
                 (double)kind->small_ns / NS_PER_MS);
    log_info("%s: %zu by %s in %.3f ms%s, one by %s in %.3f ms: together from %zu on%s", name,
             kind->width, kind->batch->name, (double)kind->batch_ns / NS_PER_MS, small,
             kind->single->name, (double)kind->single_ns / NS_PER_MS, kind->threshold,
             kind->threshold > kind->width ? ", which is never" : "");
}

static bool calibrate_kind(struct kind *kind, const struct key *key, struct signer *signer)
{
    char name[32];
    kind_describe(kind, name, sizeof name);
    uint64_t single_ns = measure(signer, kind->single, key, 1);
    if (single_ns == 0)
        return false;
    kind_measured(kind, single_ns);
    if (kind->batch == NULL) {
        log_info("%s: by %s, %.3f ms each", name, kind->single->name,
                 (double)kind->single_ns / NS_PER_MS);
        return true;
    }
    if (!measure_batches(kind, key, signer))
        return false;
    kind->threshold = find_threshold(kind);
    log_batches(kind, name);
    if (kind->threshold > kind->width) {
        kind->batch = NULL;
    } else if (kind->threshold <= kind->small_width) {
        kind->full_from = find_full_from(kind);
        kind->hold_for = find_hold_for(kind);
    }
    return true;
}

bool calibrate(struct kinds *kinds, struct signer *signer)
{
    for (size_t i = 0; i < kinds->count; i++)
        if (!calibrate_kind(&kinds->kinds[i], kinds->kinds[i].sample, signer))
            return false;
    return true;
}
