/* What the parts of a device share: its keys and signers, its threads, and how it comes back. */
#ifndef KEYD_DRIVER_PROVIDER_INSIDE_H
#define KEYD_DRIVER_PROVIDER_INSIDE_H

#include <pthread.h>

#include "keyd/driver/provider/device.h"
#include "keyd/driver/provider/operation.h"

#define FLIGHTS_MAX 64 /* paused jobs of one thread */
#define REASON_SIZE 256

struct device_thread {
    struct device *device;
    pthread_t thread;
    bool started;
    size_t flying;
    struct operation *flights[FLIGHTS_MAX];
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

    int wake; /* eventfd, a semaphore: one for each operation given */
    struct device_thread *threads;
};

size_t device_threads(const struct device *device);
/* Any thread. */
void device_wake(struct device *device, uint64_t count);

/* With the lock, all that follow. Down, with the reason in the log, if it is not already. */
void device_fail(struct device *device, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
size_t device_count_absent(const struct device *device);
bool device_whole(const struct device *device);
/* A key's trial has paused in the module. */
bool device_hangs(const struct device *device);
/* When a device that is not whole is to be tried; UINT64_MAX: it is whole. */
uint64_t device_try_time(const struct device *device);
/* Finds and tries every key. Gives the lock up meanwhile, but no operation is begun. */
void device_try(struct device *device);

#endif
