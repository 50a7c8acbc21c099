/*
 * The drivers "provider:NAME", one for each `provider` section of the configuration: OpenSSL
 * providers and engines with their devices. If a device does not sign and the key is in memory,
 * libcrypto signs at once. Every signature of a device is verified.
 */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "keyd/driver/provider/calls.h"
#include "keyd/driver/provider/device.h"
#include "keyd/driver/provider/module.h"
#include "keyd/sign/driver.h"
#include "walls/threads.h"
#include "wire/stats.h"

struct provider_driver {
    struct device *device;
    int calls[PROVIDER_CALLS_MAX];
};

static struct device *device_of(const struct driver *driver)
{
    return ((const struct provider_driver *)driver->state)->device;
}

/* The threads that a module starts here run before the sandbox exists (keyd/process/sandbox.c). */
static void tell_threads(const struct provider_config *config, size_t before)
{
    size_t now = threads_count();
    if (now > before)
        log_info("provider \"%s\": its module has started %zu thread%s, which neither Landlock nor "
                 "the namespaces will hold; the list of system calls will",
                 config->name, now - before, now - before == 1 ? "" : "s");
}

static bool provider_open(struct driver *driver, const struct files *files, char *reason,
                          size_t size)
{
    const struct provider_config *config = driver->settings;
    char text[512] = "out of memory", calls[1024];
    struct provider_driver *provider = calloc(1, sizeof *provider);
    size_t threads = threads_count();
    if (provider != NULL &&
        provider_calls(config, provider->calls, calls, sizeof calls, text, sizeof text))
        provider->device = device_open(config, files, text, sizeof text);
    if (provider == NULL || provider->device == NULL) {
        snprintf(reason, size, "%s: provider \"%s\": %s", config->location, config->name, text);
        free(provider);
        return false;
    }
    driver->state = provider;
    driver->calls = provider->calls;
    log_info("provider \"%s\": immured may also make the system calls %s", config->name, calls);
    tell_threads(config, threads);
    return true;
}

static bool provider_start(const struct driver *driver)
{
    modules_pin();
    return device_start(device_of(driver));
}

static bool provider_stop(const struct driver *driver)
{
    return device_stop(device_of(driver));
}

static void provider_close(struct driver *driver)
{
    device_free(device_of(driver));
    free(driver->state);
    driver->state = NULL;
}

static bool provider_find_key(void *state, struct key *key, const char *uri,
                              const struct files *files, char *reason, size_t size)
{
    const struct provider_driver *provider = state;
    return device_find_key(provider->device, key, uri, files, reason, size);
}

static bool provider_test_key(void *state, struct key *key, char *reason, size_t size)
{
    const struct provider_driver *provider = state;
    return device_test_key(provider->device, key, reason, size);
}

static size_t provider_width(const struct driver *driver, const struct key *key)
{
    (void)key;
    size_t width = device_width(device_of(driver));
    return width < DRIVER_BATCH_MAX ? width : DRIVER_BATCH_MAX;
}

/* A key that was found in the device is prepared already. */
static bool provider_key_prepare(const struct driver *driver, struct key *key)
{
    return key->prepared != NULL || device_take_key(device_of(driver), key);
}

static void provider_sign(const struct driver *driver, void *thread, struct job *const *batch,
                          size_t count)
{
    (void)thread;
    device_sign(device_of(driver), batch, count);
}

static const struct key_device provider_device = {.find = provider_find_key,
                                                  .test = provider_test_key};

const struct driver driver_provider = {.name = WIRE_NAME_PROVIDER,
                                       .number = WIRE_BACKEND_PROVIDER,
                                       .figure = WIRE_STAT_SIGNATURES_PROVIDER_TOTAL,
                                       .sections = true,
                                       .privileged = true,
                                       .fallback = true,
                                       .waits = true,
                                       .open = provider_open,
                                       .start = provider_start,
                                       .stop = provider_stop,
                                       .close = provider_close,
                                       .device = &provider_device,
                                       .width = provider_width,
                                       .key_prepare = provider_key_prepare,
                                       .sign = provider_sign};
