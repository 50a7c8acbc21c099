/* How a device that is down, or that has lost some of its keys, comes back. */
#include <openssl/evp.h>

#include "base/clock.h"
#include "base/log.h"
#include "keyd/driver/provider/inside.h"
#include "keyd/driver/provider/trial.h"

#define TRY_DOWN (NS_PER_S) /* between two attempts with a device that is down */
#define TRY_ABSENT                                                                                 \
    (5 * NS_PER_S) /* if only some keys are absent: an attempt interrupts the rest                 \
                    */

/* Called without the lock, while nobody is in the module. False: it cannot be opened now. */
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

/* Called without the lock, which it takes to store the result. */
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
    key->served |= serves;
    pthread_mutex_unlock(&device->lock);
}

size_t device_count_absent(const struct device *device)
{
    size_t absent = 0;
    for (size_t i = 0; i < device->key_count; i++)
        absent +=
            device->keys[i]->serves == 0 || device->keys[i]->serves != device->keys[i]->served;
    return absent;
}

bool device_whole(const struct device *device)
{
    return !device->down && device->absent == 0;
}

bool device_hangs(const struct device *device)
{
    bool hangs = false;
    for (size_t i = 0; i < device->key_count; i++)
        hangs |= device->keys[i]->hanging != NULL;
    return hangs;
}

/* Keys in a device must be found again after a restart of the module; an accelerator for keys in
 * memory comes back by itself. A module in which an operation hangs is not restarted. */
static bool device_may_restart(const struct device *device)
{
    bool inside = false;
    for (size_t i = 0; i < device->key_count; i++)
        inside |= device->keys[i]->uri != NULL;
    return inside && device->busy == 0 && !device_hangs(device);
}

void device_try(struct device *device)
{
    bool restart = device_may_restart(device);
    device->trying = true;
    pthread_mutex_unlock(&device->lock);
    module_poll(&device->module);
    bool open = !restart || device_restart(device);
    for (size_t i = 0; i < device->key_count; i++)
        device_retry_key(device, device->keys[i], open);
    pthread_mutex_lock(&device->lock);
    size_t absent = device_count_absent(device);
    if (absent == device->key_count)
        device_fail(device, "none of its keys signs under the same schemes as before");
    else if (device->down || absent != device->absent)
        log_info("provider \"%s\": is there: it signs with %zu of %zu keys", device->config->name,
                 device->key_count - absent, device->key_count);
    device->down = absent == device->key_count;
    device->absent = absent;
    device->trying = false;
    device->tried_at = clock_now();
    device_wake(device, device_threads(device));
}

uint64_t device_try_time(const struct device *device)
{
    return device_whole(device) ? UINT64_MAX
                                : device->tried_at + (device->down ? TRY_DOWN : TRY_ABSENT);
}
