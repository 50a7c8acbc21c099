#include "keyd/sign/crew.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "base/slice.h"
#include "keyd/keys/arena.h"

/* The threads count as held up when none has finished a batch for HELD_UP_AFTER plus HELD_UP_TIMES
 * the expected time of the longest batch. */
#define HELD_UP_AFTER (20 * NS_PER_MS)
#define HELD_UP_TIMES 4

#define LOWER_WEIGHT 5 /* nice, on top of what immured has: a third of the weight */
/* A 68th of the weight. SCHED_IDLE would be less, but a thread of that class gets hardly any time
 * to exit in; a process that waits for it may spin in the kernel for half a minute if something has
 * looked at the thread's entries in /proc. */
#define LEAST_WEIGHT 19
/* Shorter than the slice of the others, so that the express need not wait for them. */
#define EXPRESS_SLICE (100 * NS_PER_US)

struct crew_member {
    struct crew *crew;
    struct signer signer;
    pthread_t thread;
    bool started, yield, express;
    bool failed; /* it got no stack */
    sem_t given, running;
    bool clear;              /* its signer is to be cleared; only for the event loop */
    bool busy;               /* given and not collected; only for the event loop */
    atomic_bool done;        /* set by the thread, reset when the batch is collected */
    atomic_bool leave;       /* the thread is to exit instead of signing */
    uint64_t expected, took; /* ns */
    size_t count;
    struct job *batch[DRIVER_BATCH_MAX];
};

struct crew {
    int wake;          /* eventfd */
    atomic_bool told;  /* the event loop was woken and has not collected yet */
    uint64_t progress; /* when a thread other than the express last got or finished a batch */
    size_t count;
    struct crew_member members[]; /* the express is the last */
};

static void tell(struct crew *crew)
{
    if (atomic_exchange(&crew->told, true))
        return;
    ssize_t written = write(crew->wake, &(uint64_t){1}, sizeof(uint64_t));
    (void)written; /* it cannot overflow: it is read before it is written again */
}

static void member_weigh(const struct crew_member *member)
{
    if (!member->express) {
        sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
        (void)!nice(member->yield ? LEAST_WEIGHT : LOWER_WEIGHT); /* the kernel stops at 19 */
    } else if (!member->yield) {
        slice_set(EXPRESS_SLICE);
    }
}

static void member_sign(void *arg)
{
    struct crew_member *member = arg;
    sem_post(&member->running);
    for (;;) {
        while (sem_wait(&member->given) != 0)
            continue;
        if (atomic_load(&member->leave))
            return;
        member->took = signer_sign(&member->signer, member->batch, member->count);
        atomic_store(&member->done, true);
        tell(member->crew);
    }
}

static void *member_run(void *arg)
{
    struct crew_member *member = arg;
    member_weigh(member);
    member->failed = !arena_call(ARENA_STACK_SIGNER, member_sign, member);
    if (member->failed)
        sem_post(&member->running);
    return NULL;
}

static bool member_start(struct crew *crew, struct crew_member *member,
                         const struct driver *const *drivers)
{
    member->crew = crew;
    sem_init(&member->given, 0, 0);
    sem_init(&member->running, 0, 0);
    if (!signer_init(&member->signer, drivers))
        return false;
    int reason = pthread_create(&member->thread, NULL, member_run, member);
    if (reason != 0) {
        log_error("signer thread: %s", strerror(reason));
        return false;
    }
    member->started = true;
    while (sem_wait(&member->running) != 0 && errno == EINTR)
        continue;
    return !member->failed;
}

struct crew *crew_start(const struct driver *const *drivers, unsigned threads, bool yield)
{
    size_t count = (size_t)threads + 1;
    struct crew *crew = calloc(1, sizeof *crew + count * sizeof crew->members[0]);
    if (crew == NULL || (crew->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0) {
        log_error("signer threads: %s", strerror(errno));
        free(crew);
        return NULL;
    }
    crew->count = count;
    for (size_t i = 0; i < count; i++) {
        crew->members[i].yield = yield;
        crew->members[i].express = i == threads;
        if (!member_start(crew, &crew->members[i], drivers)) {
            crew_stop(crew);
            return NULL;
        }
    }
    return crew;
}

void crew_stop(struct crew *crew)
{
    if (crew == NULL)
        return;
    for (size_t i = 0; i < crew->count; i++) {
        struct crew_member *member = &crew->members[i];
        if (!member->started)
            continue;
        /* a thread that is signing sees `leave` when it has finished */
        atomic_store(&member->leave, true);
        sem_post(&member->given);
        pthread_join(member->thread, NULL);
        if (member->busy)
            for (size_t job = 0; job < member->count; job++)
                job_free(member->batch[job]);
    }
    for (size_t i = 0; i < crew->count; i++)
        if (crew->members[i].crew != NULL)
            signer_release(&crew->members[i].signer);
    descriptor_close(&crew->wake);
    free(crew);
}

int crew_wake(const struct crew *crew)
{
    return crew->wake;
}

void crew_woken(struct crew *crew)
{
    uint64_t count;
    ssize_t got = read(crew->wake, &count, sizeof count);
    (void)got; /* EAGAIN: there was nothing */
    atomic_store(&crew->told, false);
}

uint64_t crew_held_up(const struct crew *crew)
{
    uint64_t expected = 0;
    for (size_t i = 0; i < crew->count; i++) {
        const struct crew_member *member = &crew->members[i];
        if (member->busy == member->express)
            return UINT64_MAX;
        if (member->busy && member->expected > expected)
            expected = member->expected;
    }
    return crew->progress + HELD_UP_AFTER + HELD_UP_TIMES * expected;
}

struct crew_member *crew_idle(struct crew *crew)
{
    for (size_t i = 0; i < crew->count; i++)
        if (!crew->members[i].busy && !crew->members[i].express)
            return &crew->members[i];
    return NULL;
}

struct crew_member *crew_express(struct crew *crew)
{
    struct crew_member *last = &crew->members[crew->count - 1];
    return last->busy ? NULL : last;
}

struct crew_member *crew_get(struct crew *crew, size_t index)
{
    return index < crew->count ? &crew->members[index] : NULL;
}

void crew_give(struct crew *crew, struct crew_member *member, struct job *const *batch,
               size_t count, uint64_t now)
{
    member->expected = kind_time(batch[0]->key->kind, count);
    if (!member->express)
        crew->progress = now;
    memcpy(member->batch, batch, count * sizeof *batch);
    member->count = count;
    member->busy = true;
    sem_post(&member->given);
}

static void clear_if_idle(struct crew_member *member)
{
    if (!member->clear || member->busy)
        return;
    signer_clear(&member->signer);
    member->clear = false;
}

void crew_clear(struct crew *crew)
{
    for (size_t i = 0; i < crew->count; i++) {
        crew->members[i].clear = true;
        clear_if_idle(&crew->members[i]);
    }
}

size_t crew_collect(struct crew *crew, struct job *batch[static DRIVER_BATCH_MAX], uint64_t *ns,
                    uint64_t now)
{
    for (size_t i = 0; i < crew->count; i++) {
        struct crew_member *member = &crew->members[i];
        if (!member->busy || !atomic_load(&member->done))
            continue;
        memcpy(batch, member->batch, member->count * sizeof *batch);
        *ns = member->took;
        member->busy = false;
        atomic_store(&member->done, false);
        clear_if_idle(member);
        if (!member->express)
            crew->progress = now;
        return member->count;
    }
    return 0;
}
