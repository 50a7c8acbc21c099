/* The threads of a device, which take operations, run them, and wait for them. */
#include <openssl/evp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "keyd/driver/provider/device.h"
#include "keyd/driver/provider/inside.h"
#include "keyd/keys/arena.h"

#define ASK_AGAIN (NS_PER_MS)       /* for paused jobs that have no descriptor to wait for */
#define POLL_AGAIN (50 * NS_PER_US) /* for modules whose jobs continue only when polled */
#define STOP_SECONDS 2              /* after this a thread counts as hanging in the module */

/* An attempt waits until no operation is in the module, unless the device is down: then one may
 * hang there. */
static bool device_try_due(const struct device *device)
{
    return !device->trying && clock_now() >= device_try_time(device) &&
           (device->down || device->busy == 0);
}

/* When a thread must look again even if nothing has happened. */
static uint64_t device_deadline(const struct device *device)
{
    uint64_t time = device_try_time(device);
    return device->trying || clock_now() >= time ? UINT64_MAX : time;
}

static void operation_done(struct device *device, struct device_operation *operation, bool good)
{
    operation->good = good;
    operation->state = OPERATION_DONE;
    if (operation->abandoned)
        operation_free(operation);
    else
        pthread_cond_broadcast(&device->changed);
}

/* Called without the lock, which it takes. */
static void operation_end(struct device *device, struct device_operation *operation, bool good)
{
    char reason[REASON_SIZE];
    EVP_PKEY_free(operation->handle);
    operation->handle = NULL;
    pthread_mutex_lock(&device->lock);
    device->busy--;
    device->progress = clock_now();
    if (!good)
        device_fail(device, "a signature with key \"%s\" failed: %s", operation->key->key->name,
                    module_reason(reason, sizeof reason));
    operation_done(device, operation, good);
    if (device->busy == 0 && !device_whole(device))
        device_wake(device, 1);
    pthread_mutex_unlock(&device->lock);
}

/* The next operation to begin; NULL while an attempt is due or in progress. */
static struct device_operation *device_take(struct device *device)
{
    if (device->trying || clock_now() >= device_try_time(device))
        return NULL;
    for (struct list *node; (node = list_take(&device->waiting)) != NULL;) {
        struct device_operation *operation = list_entry(node, struct device_operation, node);
        if ((operation->key->serves & device_key_bit(operation->scheme)) == 0) {
            operation_done(device, operation, false);
            continue;
        }
        operation->state = OPERATION_RUNNING;
        operation->handle = operation->key->handle;
        EVP_PKEY_up_ref(operation->handle);
        device->busy++;
        return operation;
    }
    return NULL;
}

static bool thread_has_room(const struct device_thread *thread)
{
    return !thread->device->config->asynchronous || thread->flying < FLIGHTS_MAX;
}

static void thread_begin(struct device_thread *thread, struct device_operation *operation)
{
    bool good;
    if (!thread->device->config->asynchronous)
        operation_end(thread->device, operation, operation_run(operation));
    else if (operation_resume(operation, &good))
        operation_end(thread->device, operation, good);
    else
        thread->flights[thread->flying++] = operation;
}

static void thread_resume(struct device_thread *thread, const struct pollfd *waits)
{
    for (size_t i = thread->flying; i-- > 0;) {
        bool good;
        if (waits[i].fd >= 0 && waits[i].revents == 0)
            continue;
        struct device_operation *operation = thread->flights[i];
        if (!operation_resume(operation, &good))
            continue;
        thread->flights[i] = thread->flights[--thread->flying];
        operation_end(thread->device, operation, good);
    }
}

/* Waits until there is something to do, at most until `deadline`. */
static void thread_wait(struct device_thread *thread, uint64_t deadline)
{
    struct device *device = thread->device;
    struct pollfd waits[FLIGHTS_MAX + 1];
    bool polled = thread->flying > 0 && module_polled(&device->module);
    if (polled)
        module_poll(&device->module);
    uint64_t now = clock_now();
    if (polled && deadline > now + POLL_AGAIN)
        deadline = now + POLL_AGAIN;
    for (size_t i = 0; i < thread->flying; i++) {
        waits[i] =
            (struct pollfd){.fd = operation_descriptor(thread->flights[i]), .events = POLLIN};
        if (waits[i].fd < 0 && deadline > now + ASK_AGAIN)
            deadline = now + ASK_AGAIN;
    }
    struct pollfd *wake = &waits[thread->flying];
    *wake = (struct pollfd){.fd = thread_has_room(thread) ? device->wake : -1, .events = POLLIN};
    uint64_t left = deadline > now ? deadline - now : 0;
    const struct timespec time = {.tv_sec = (time_t)(left / NS_PER_S),
                                  .tv_nsec = (long)(left % NS_PER_S)};
    ppoll(waits, thread->flying + 1, deadline != UINT64_MAX ? &time : NULL, NULL);
    if (wake->revents != 0) {
        uint64_t one;
        ssize_t got = read(device->wake, &one, sizeof one);
        (void)got; /* EAGAIN: another thread was quicker */
    }
    thread_resume(thread, waits);
}

static void thread_serve(void *arg)
{
    struct device_thread *thread = arg;
    struct device *device = thread->device;
    if (device->config->asynchronous)
        ASYNC_init_thread(0, 0);
    pthread_mutex_lock(&device->lock);
    while (!device->leave) {
        struct device_operation *operation = thread_has_room(thread) ? device_take(device) : NULL;
        bool idle = operation == NULL;
        if (idle && device_try_due(device)) {
            device_try(device);
            continue;
        }
        uint64_t deadline = device_deadline(device);
        pthread_mutex_unlock(&device->lock);
        if (idle)
            thread_wait(thread, deadline);
        else
            thread_begin(thread, operation);
        pthread_mutex_lock(&device->lock);
    }
    pthread_mutex_unlock(&device->lock);
    ASYNC_cleanup_thread();
}

/* The thread runs on a stack in secret memory: a key in memory may leave traces there. */
static void *thread_run(void *arg)
{
    arena_call(ARENA_STACK_LARGE, thread_serve, arg);
    return NULL;
}

bool device_start(struct device *device)
{
    for (size_t i = 0; i < device->key_count; i++)
        device->keys[i]->hanging = NULL; /* this thread never resumes it */
    device->absent = device_count_absent(device);
    device->down = device->key_count > 0 && device->absent == device->key_count;
    device->tried_at = clock_now();
    for (size_t i = 0; i < device_threads(device); i++) {
        struct device_thread *thread = &device->threads[i];
        thread->device = device;
        int reason = pthread_create(&thread->thread, NULL, thread_run, thread);
        if (reason != 0) {
            log_error("provider \"%s\": thread: %s", device->config->name, strerror(reason));
            return false;
        }
        thread->started = true;
    }
    return true;
}

bool device_stop(struct device *device)
{
    pthread_mutex_lock(&device->lock);
    device->leave = true;
    device_wake(device, device_threads(device));
    pthread_mutex_unlock(&device->lock);
    bool stopped = true;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_SECONDS;
    for (size_t i = 0; i < device_threads(device); i++) {
        struct device_thread *thread = &device->threads[i];
        if (thread->started &&
            (pthread_timedjoin_np(thread->thread, NULL, &until) != 0 || thread->flying > 0))
            stopped = false;
    }
    return stopped && !device_hangs(device);
}
