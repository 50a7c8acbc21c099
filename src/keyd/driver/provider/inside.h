/* What the source files of a device share: device.c has its keys and its callers, thread.c its
 * threads, recovery.c its return after a failure. */
#ifndef KEYD_DRIVER_PROVIDER_INSIDE_H
#define KEYD_DRIVER_PROVIDER_INSIDE_H

#include <pthread.h>

#include "keyd/driver/provider/config.h"
#include "keyd/driver/provider/operation.h"

#define FLIGHTS_MAX 64 /* the paused operations of one thread */
#define REASON_SIZE 256

struct device_thread {
    struct device *device;
    pthread_t thread;
    bool started;
    size_t flying;
    struct device_operation *flights[FLIGHTS_MAX];
};

struct device {
    const struct provider_config *config;
    struct secret pin;
    struct module module;
    struct device_key **keys;
    size_t key_count;

    pthread_mutex_t lock; /* of all following members, and of the keys' `handle` and `serves` */
    pthread_cond_t changed;
    struct list waiting; /* operations that are not begun */
    size_t busy;         /* operations that are in the module, paused ones included */
    uint64_t progress;   /* when an operation last ended */
    bool down, trying, leave;
    size_t absent; /* keys that it does not sign with now, or not under all schemes as before */
    uint64_t tried_at;

    int wake; /* an eventfd as a semaphore: one for each operation given */
    struct device_thread *threads;
};

size_t device_threads(const struct device *device);
/* Any thread may call it. */
void device_wake(struct device *device, uint64_t count);

/* The caller of this function and the following ones holds the lock. Marks the device as down and
 * logs the reason, unless it is down already. */
void device_fail(struct device *device, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
size_t device_count_absent(const struct device *device);
bool device_whole(const struct device *device);
/* Whether the trial of a key has paused in the module without an answer. */
bool device_hangs(const struct device *device);
/* When a device that is not whole must be tried again; UINT64_MAX: it is whole. */
uint64_t device_try_time(const struct device *device);
/* Finds and tries every key. Releases the lock meanwhile, but no operation is begun. */
void device_try(struct device *device);

#endif
