#include "keyd/backend/provider_device.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/duration.h"
#include "base/log.h"
#include "keyd/backend/provider_operation.h"

#define FLIGHTS_MAX 64             /* paused jobs of one thread */
#define ASK_AGAIN (NS_PER_MS)      /* for those that do not say when to go on */
#define TRY_DOWN (NS_PER_S)        /* from one look at a device that is down to the next */
#define TRY_ABSENT (10 * NS_PER_S) /* the same, when only some keys are away: it interrupts */
#define REASON_SIZE 256
#define STOP_SECONDS 2 /* then a thread is taken to hang in the module */

struct device_thread {
    struct device *device;
    pthread_t thread;
    bool started;
    size_t flying;
    struct flight flights[FLIGHTS_MAX];
};

struct device {
    const struct provider_config *config;
    struct secret pin;
    struct module module;
    struct device_key **keys;
    size_t key_count;

    pthread_mutex_t lock; /* of all that follows, and of the keys' handle and serves */
    pthread_cond_t changed;
    struct list waiting; /* operations not begun */
    size_t busy;         /* threads and flights that are in the module */
    uint64_t progress;   /* when an operation last ended */
    bool down, trying, leave;
    size_t absent; /* keys that it does not sign with now */
    uint64_t tried_at;

    int wake;  /* eventfd, a semaphore: one for each operation given */
    bool kept; /* a thread would not stop */
    struct device_thread *threads;
};

const char *device_name(const struct device *device)
{
    return device->config->name;
}

size_t device_width(const struct device *device)
{
    return device->config->threads * (device->config->asynchronous ? FLIGHTS_MAX : 1);
}

static void device_wake(struct device *device, uint64_t count)
{
    ssize_t written = count > 0 ? write(device->wake, &count, sizeof count) : 0;
    (void)written; /* it cannot overflow */
}

static bool set_environment(const struct text_list *environment, char *reason, size_t size)
{
    for (size_t i = 0; i < environment->count; i++) {
        /* the environment keeps the text itself */
        char *text =
            strchr(environment->texts[i], '=') != NULL ? strdup(environment->texts[i]) : NULL;
        if (text == NULL || putenv(text) != 0) {
            snprintf(reason, size, "environment: \"%s\" is not NAME=VALUE", environment->texts[i]);
            return false;
        }
    }
    return true;
}

struct device *device_open(const struct provider_config *config, char *reason, size_t size)
{
    struct device *device = calloc(1, sizeof *device);
    if (device == NULL) {
        snprintf(reason, size, "out of memory");
        return NULL;
    }
    device->config = config;
    device->wake = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&device->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&device->changed, &monotonic);
    list_init(&device->waiting);
    device->module = (struct module){.config = config, .pin = &device->pin};
    device->threads = calloc(config->threads, sizeof *device->threads);
    if (device->wake < 0 || device->threads == NULL)
        snprintf(reason, size, "%s", strerror(errno));
    else if (config->pin_file != NULL &&
             !secret_read_line(&device->pin, config->pin_file, PASS_PHRASE_MAX))
        snprintf(reason, size, "%s: %s", config->pin_file, strerror(errno));
    else if (set_environment(&config->environment, reason, size) &&
             module_open(&device->module, reason, size))
        return device;
    device_free(device);
    return NULL;
}

/* With the lock, like everything that does not say otherwise. */
static void device_fail(struct device *device, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void device_fail(struct device *device, const char *format, ...)
{
    if (device->down)
        return;
    char reason[320];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    log_error("%s: provider \"%s\": %s; until it is back, libcrypto signs with keys in memory, and "
              "nothing with keys in the device",
              device->config->location, device->config->name, reason);
    device->down = true;
    pthread_cond_broadcast(&device->changed);
    device_wake(device, 1);
}

static bool key_add(struct device *device, struct device_key *key)
{
    size_t size = (device->key_count + 1) * sizeof(struct device_key *);
    struct device_key **keys = realloc(device->keys, size);
    if (keys == NULL)
        return false;
    device->keys = keys;
    device->keys[device->key_count++] = key;
    key->key->prepared = key;
    return true;
}

bool device_find_key(struct device *device, struct key *key, const char *uri, char *reason,
                     size_t size)
{
    char text[REASON_SIZE];
    uint8_t *spki = NULL;
    struct device_key *found = device_key_new(key, uri, reason, size);
    if (found == NULL)
        return false;
    found->handle = device_key_find(found, &device->module);
    int length = found->handle != NULL ? i2d_PUBKEY(found->handle, &spki) : 0;
    if (length > 0)
        key->pair = d2i_PUBKEY(NULL, &(const uint8_t *){spki}, length);
    OPENSSL_free(spki);
    if (key->pair != NULL && key_add(device, found))
        return true;
    snprintf(reason, size, "provider \"%s\": %s: %s", device->config->name,
             found->handle == NULL ? "there is no such key" : "it does not give the public key",
             module_reason(text, sizeof text));
    device_key_free(found);
    return false;
}

bool device_take_key(struct device *device, struct key *key)
{
    char reason[REASON_SIZE];
    struct device_key *taken = device_key_new(key, NULL, reason, sizeof reason);
    if (taken == NULL || !key_add(device, taken)) {
        device_key_free(taken);
        return false;
    }
    taken->handle = device_key_find(taken, &device->module);
    if (taken->handle == NULL)
        module_reason(reason, sizeof reason);
    else
        taken->serves =
            device_key_try(taken, &device->module, taken->handle, reason, sizeof reason);
    if (taken->serves == 0)
        log_warning("%s: key \"%s\": provider \"%s\" does not sign with it: %s; libcrypto does, "
                    "until it does",
                    key->location, key->name, device->config->name, reason);
    return true;
}

void device_release_key(struct device *device, struct key *key)
{
    if (device->kept)
        return;
    size_t place = 0;
    while (device->keys[place] != key->prepared)
        place++;
    device_key_free(key->prepared);
    device->keys[place] = device->keys[--device->key_count];
    key->prepared = NULL;
}

bool device_try_key(struct device *device, struct key *key, char *reason, size_t size)
{
    struct device_key *found = key->prepared;
    char text[REASON_SIZE] = "";
    found->serves = device_key_try(found, &device->module, found->handle, text, sizeof text);
    size_t kept = 0;
    for (size_t i = 0; i < key->scheme_count; i++) {
        const struct wire_scheme *scheme = wire_scheme_find(key->schemes[i]);
        if ((found->serves & device_key_bit(scheme)) != 0)
            key->schemes[kept++] = scheme->code;
        else if (found->serves != 0)
            log_info("%s: key \"%s\": provider \"%s\" does not sign under %s", key->location,
                     key->name, device->config->name, scheme->name);
    }
    key->scheme_count = kept;
    if (kept == 0)
        snprintf(reason, size, "provider \"%s\" does not sign with it: %s", device->config->name,
                 text);
    return kept > 0;
}

/* Without the lock, while nobody is in the module. False: it cannot be opened now. */
static bool device_restart(struct device *device)
{
    char reason[REASON_SIZE];
    for (size_t i = 0; i < device->key_count; i++) {
        EVP_PKEY_free(device->keys[i]->handle);
        device->keys[i]->handle = NULL;
    }
    bool open = module_restart(&device->module, reason, sizeof reason);
    if (!open)
        log_debug("provider \"%s\": %s", device->config->name, reason);
    return open;
}

/* Without the lock, which it takes to say what it found. */
static void device_retry_key(struct device *device, struct device_key *key, bool open)
{
    char reason[REASON_SIZE];
    uint64_t serves = 0;
    if (open && key->handle == NULL &&
        (key->handle = device_key_find(key, &device->module)) == NULL)
        module_reason(reason, sizeof reason);
    if (open && key->handle != NULL)
        serves = device_key_try(key, &device->module, key->handle, reason, sizeof reason);
    if (open && serves == 0)
        log_debug("provider \"%s\": key \"%s\": %s", device->config->name, key->key->name, reason);
    pthread_mutex_lock(&device->lock);
    key->serves = serves;
    pthread_mutex_unlock(&device->lock);
}

static size_t count_absent(const struct device *device)
{
    size_t absent = 0;
    for (size_t i = 0; i < device->key_count; i++)
        absent += device->keys[i]->serves == 0;
    return absent;
}

static bool device_whole(const struct device *device)
{
    return !device->down && device->absent == 0;
}

/* Keys in a device have to be found again, with the module started anew; an accelerator for keys in
 * memory comes back by itself. Where something hangs in the module, it is only tried. */
static bool device_may_restart(const struct device *device)
{
    bool inside = false;
    for (size_t i = 0; i < device->key_count; i++)
        inside |= device->keys[i]->uri != NULL;
    return inside && device->busy == 0;
}

/* Finds and tries every key. Gives the lock up meanwhile, but no operation is begun. */
static void device_try(struct device *device)
{
    bool restart = device_may_restart(device);
    device->trying = true;
    pthread_mutex_unlock(&device->lock);
    bool open = !restart || device_restart(device);
    for (size_t i = 0; i < device->key_count; i++)
        device_retry_key(device, device->keys[i], open);
    pthread_mutex_lock(&device->lock);
    size_t absent = count_absent(device);
    if (absent == device->key_count)
        device_fail(device, "none of its keys is there any more");
    else if (device->down || absent != device->absent)
        log_info("provider \"%s\": is there: it signs with %zu of %zu keys", device->config->name,
                 device->key_count - absent, device->key_count);
    device->down = absent == device->key_count;
    device->absent = absent;
    device->trying = false;
    device->tried_at = clock_now();
    device_wake(device, device->config->threads);
}

static uint64_t device_try_time(const struct device *device)
{
    return device_whole(device) ? UINT64_MAX
                                : device->tried_at + (device->down ? TRY_DOWN : TRY_ABSENT);
}

/* What is under way is waited for, unless the device is down: then it may hang. */
static bool device_try_due(const struct device *device)
{
    return !device->trying && clock_now() >= device_try_time(device) &&
           (device->down || device->busy == 0);
}

/* When one of its threads must look again though nothing has happened. */
static uint64_t device_deadline(const struct device *device)
{
    uint64_t time = device_try_time(device);
    return device->trying || clock_now() >= time ? UINT64_MAX : time;
}

static void operation_done(struct device *device, struct operation *operation, bool good)
{
    operation->good = good;
    operation->state = OPERATION_DONE;
    if (operation->abandoned)
        operation_free(operation);
    else
        pthread_cond_broadcast(&device->changed);
}

/* Takes the lock. */
static void operation_end(struct device *device, struct operation *operation, bool good)
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

/* The next to be begun; none while all that is under way is waited for. */
static struct operation *device_take(struct device *device)
{
    if (device->trying || clock_now() >= device_try_time(device))
        return NULL;
    for (struct list *node; (node = list_take(&device->waiting)) != NULL;) {
        struct operation *operation = list_entry(node, struct operation, node);
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

static void thread_begin(struct device_thread *thread, struct operation *operation)
{
    bool good;
    struct flight flight = {.operation = operation};
    if (!thread->device->config->asynchronous)
        operation_end(thread->device, operation, operation_run(operation));
    else if (flight_resume(&flight, &good))
        operation_end(thread->device, operation, good);
    else
        thread->flights[thread->flying++] = flight;
}

static void thread_resume(struct device_thread *thread, const struct pollfd *waits)
{
    for (size_t i = thread->flying; i-- > 0;) {
        bool good;
        if (waits[i].fd >= 0 && waits[i].revents == 0)
            continue;
        struct flight *flight = &thread->flights[i];
        if (!flight_resume(flight, &good))
            continue;
        operation_end(thread->device, flight->operation, good);
        *flight = thread->flights[--thread->flying];
    }
}

/* Until there is something to do, at most until `deadline`. */
static void thread_wait(struct device_thread *thread, uint64_t deadline)
{
    struct device *device = thread->device;
    struct pollfd waits[FLIGHTS_MAX + 1];
    uint64_t now = clock_now();
    for (size_t i = 0; i < thread->flying; i++) {
        waits[i] = (struct pollfd){.fd = flight_descriptor(&thread->flights[i]), .events = POLLIN};
        if (waits[i].fd < 0 && deadline > now + ASK_AGAIN)
            deadline = now + ASK_AGAIN;
    }
    struct pollfd *wake = &waits[thread->flying];
    *wake = (struct pollfd){.fd = thread_has_room(thread) ? device->wake : -1, .events = POLLIN};
    poll(waits, thread->flying + 1, clock_poll_timeout(deadline, now));
    if (wake->revents != 0) {
        uint64_t one;
        ssize_t got = read(device->wake, &one, sizeof one);
        (void)got; /* EAGAIN: another thread was quicker */
    }
    thread_resume(thread, waits);
}

static void *thread_run(void *arg)
{
    struct device_thread *thread = arg;
    struct device *device = thread->device;
    if (device->config->asynchronous)
        ASYNC_init_thread(FLIGHTS_MAX, 0);
    pthread_mutex_lock(&device->lock);
    while (!device->leave) {
        struct operation *operation = thread_has_room(thread) ? device_take(device) : NULL;
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
    return NULL;
}

bool device_start(struct device *device)
{
    device->absent = count_absent(device);
    device->down = device->key_count > 0 && device->absent == device->key_count;
    device->tried_at = clock_now();
    for (size_t i = 0; i < device->config->threads; i++) {
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

void device_stop(struct device *device)
{
    pthread_mutex_lock(&device->lock);
    device->leave = true;
    device_wake(device, device->config->threads);
    pthread_mutex_unlock(&device->lock);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_SECONDS;
    for (size_t i = 0; i < device->config->threads; i++) {
        struct device_thread *thread = &device->threads[i];
        if (thread->started &&
            (pthread_timedjoin_np(thread->thread, NULL, &until) != 0 || thread->flying > 0))
            device->kept = true;
    }
}

void device_free(struct device *device)
{
    if (device == NULL || device->kept)
        return;
    for (size_t i = 0; i < device->key_count; i++)
        device_key_free(device->keys[i]);
    free(device->keys);
    module_close(&device->module);
    secret_free(&device->pin);
    descriptor_close(&device->wake);
    pthread_cond_destroy(&device->changed);
    pthread_mutex_destroy(&device->lock);
    free(device->threads);
    free(device);
}

/* NULL: the device does not sign this, or there is no memory. */
static struct operation *device_give(struct device *device, const struct job *job)
{
    const struct device_key *key = job->key->prepared;
    if (device->down || (key->serves & device_key_bit(job->scheme)) == 0)
        return NULL;
    struct operation *operation = operation_new(job, key, &device->module);
    if (operation != NULL)
        list_append(&device->waiting, &operation->node);
    return operation;
}

static bool all_done(struct operation *const *operations, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (operations[i] != NULL && operations[i]->state != OPERATION_DONE)
            return false;
    return true;
}

static void device_wait(struct device *device, struct operation *const *operations, size_t count)
{
    char text[DURATION_TEXT_SIZE];
    uint64_t begun = clock_now();
    while (!device->down && !all_done(operations, count)) {
        uint64_t last = device->progress > begun ? device->progress : begun;
        uint64_t deadline = last + device->config->timeout;
        struct timespec until = {.tv_sec = (time_t)(deadline / NS_PER_S),
                                 .tv_nsec = (long)(deadline % NS_PER_S)};
        if (clock_now() >= deadline)
            device_fail(device, "no answer in %s", duration_format(device->config->timeout, text));
        else
            pthread_cond_timedwait(&device->changed, &device->lock, &until);
    }
}

static void collect(struct job *job, struct operation *operation)
{
    job->error = IMMURE_E_DEVICE;
    if (operation == NULL)
        return;
    if (operation->state == OPERATION_RUNNING) {
        operation->abandoned = true;
        return;
    }
    if (operation->state == OPERATION_DONE && operation->good &&
        operation->signature_length <= job->key->signature_max) {
        job->error = IMMURE_OK;
        job->signature_length = operation->signature_length;
        memcpy(job->signature, operation->signature, operation->signature_length);
    }
    list_remove(&operation->node);
    operation_free(operation);
}

void device_sign(struct device *device, struct job *const *batch, size_t count)
{
    struct operation *operations[BACKEND_BATCH_MAX];
    uint64_t given = 0;
    pthread_mutex_lock(&device->lock);
    for (size_t i = 0; i < count; i++) {
        operations[i] = device_give(device, batch[i]);
        given += operations[i] != NULL;
    }
    device_wake(device, given);
    device_wait(device, operations, count);
    for (size_t i = 0; i < count; i++)
        collect(batch[i], operations[i]);
    pthread_mutex_unlock(&device->lock);
}
