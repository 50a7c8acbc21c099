#include "keyd/driver/provider/device.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
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
#include "base/regular_file.h"
#include "keyd/driver/provider/inside.h"
#include "keyd/driver/provider/trial.h"
#include "keyd/keys/files.h"

/* An asynchronous device needs one thread, which can have many jobs in flight. */
size_t device_threads(const struct device *device)
{
    return device->config->asynchronous ? 1 : device->config->threads;
}

size_t device_width(const struct device *device)
{
    return device->config->asynchronous ? FLIGHTS_MAX : device->config->threads;
}

void device_wake(struct device *device, uint64_t count)
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

struct device *device_open(const struct provider_config *config, const struct files *files,
                           char *reason, size_t size)
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
    device->threads = calloc(device_threads(device), sizeof *device->threads);
    if (device->wake < 0 || device->threads == NULL)
        snprintf(reason, size, "%s", strerror(errno));
    else if (config->pin_file != NULL &&
             !files_read_line(files, config->pin_file, PASS_PHRASE_MAX, &device->pin))
        snprintf(reason, size, "%s: %s", config->pin_file, regular_file_reason(errno));
    else if (set_environment(&config->environment, reason, size) &&
             module_open(&device->module, reason, size))
        return device;
    device_free(device);
    return NULL;
}

void device_fail(struct device *device, const char *format, ...)
{
    if (device->down)
        return;
    char reason[320];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    log_error("%s: provider \"%s\": %s; until it is back, libcrypto signs with keys in memory, and "
              "keys in the device cannot be used",
              device->config->location, device->config->name, reason);
    device->down = true;
    pthread_cond_broadcast(&device->changed);
    device_wake(device, 1);
}

/* key->release: removes the key from its device. */
static void key_remove(struct key *key)
{
    struct device_key *removed = key->prepared;
    struct device *device = removed->device;
    size_t place = 0;
    while (device->keys[place] != removed)
        place++;
    device->keys[place] = device->keys[--device->key_count];
    device_key_free(removed);
}

static bool key_add(struct device *device, struct device_key *key)
{
    size_t size = (device->key_count + 1) * sizeof(struct device_key *);
    struct device_key **keys = realloc(device->keys, size);
    if (keys == NULL)
        return false;
    device->keys = keys;
    device->keys[device->key_count++] = key;
    key->device = device;
    key->key->prepared = key;
    key->key->release = key_remove;
    return true;
}

bool device_find_key(struct device *device, struct key *key, const char *uri,
                     const struct files *files, char *reason, size_t size)
{
    char text[REASON_SIZE];
    uint8_t *spki = NULL;
    struct device_key *found = device_key_new(key, uri, files, reason, size);
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
    struct device_key *taken = device_key_new(key, NULL, NULL, reason, sizeof reason);
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
    taken->served = taken->serves;
    if (taken->serves == 0)
        log_warning("%s: key \"%s\": provider \"%s\" does not sign with it: %s; libcrypto signs "
                    "until the provider does",
                    key->location, key->name, device->config->name, reason);
    return true;
}

bool device_test_key(struct device *device, struct key *key, char *reason, size_t size)
{
    struct device_key *found = key->prepared;
    char text[REASON_SIZE] = "";
    found->serves = device_key_try(found, &device->module, found->handle, text, sizeof text);
    found->served = found->serves;
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

void device_free(struct device *device)
{
    if (device == NULL)
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

/* NULL: the device does not sign this job, or memory is short. */
static struct device_operation *device_give(struct device *device, const struct job *job)
{
    const struct device_key *key = job->key->prepared;
    bool whole = job->scheme->digest == NULL;
    if (device->down || (key->serves & device_key_bit(job->scheme)) == 0)
        return NULL;
    struct device_operation *operation =
        operation_new(key, job->scheme, whole ? job->message : job->digest,
                      whole ? job->message_length : job->digest_length, &device->module);
    if (operation != NULL)
        list_append(&device->waiting, &operation->node);
    return operation;
}

static bool all_done(struct device_operation *const *operations, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (operations[i] != NULL && operations[i]->state != OPERATION_DONE)
            return false;
    return true;
}

static void device_wait(struct device *device, struct device_operation *const *operations,
                        size_t count)
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

static void collect(struct job *job, struct device_operation *operation)
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
        job->result_length = operation->signature_length;
        memcpy(job->result, operation->signature, operation->signature_length);
    }
    list_remove(&operation->node);
    operation_free(operation);
}

void device_sign(struct device *device, struct job *const *batch, size_t count)
{
    struct device_operation *operations[DRIVER_BATCH_MAX];
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
