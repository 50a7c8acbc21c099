/*
 * A device: a module (provider_module.h), the keys that are used through it, and the threads that
 * do. Only these threads ever enter the module after the start, so that a signer that waits for a
 * device can stop waiting: what is left behind is finished, or not, by the device's own thread.
 *
 * A device that fails is down: nothing is given to it any more. One of its threads then tries, now
 * and then, to open it afresh, and when a key signs again it is up. That is logged once each way.
 */
#ifndef KEYD_DRIVER_PROVIDER_DEVICE_H
#define KEYD_DRIVER_PROVIDER_DEVICE_H

#include "keyd/driver/provider/config.h"
#include "keyd/sign/driver.h"

struct device;
struct device_key;
struct files;

/* Before the doors are closed. `files`: where the one with the PIN is open. NULL: one line in
 * `reason`. */
struct device *device_open(const struct provider_config *config, const struct files *files,
                           char *reason, size_t size);
/* With all keys there: the threads run. False: reason logged. */
bool device_start(struct device *device);
/* Its threads end. False: not in a moment; one hangs. */
bool device_stop(struct device *device);
/* After the keys are freed. */
void device_free(struct device *device);

/* How many signatures it makes at once. */
size_t device_width(const struct device *device);

/*
 * Before device_start(). Both set key->prepared, and key->release: with the key it goes from the
 * device too.
 *
 * The key that `uri` names, `files` as for device_key_new(): sets key->pair to its public half.
 * False: one line in `reason`.
 */
bool device_find_key(struct device *device, struct key *key, const char *uri,
                     const struct files *files, char *reason, size_t size);
/* A key in memory, for use by the device. False: out of memory; a device that cannot use it is
 * logged, and tried again later. */
bool device_take_key(struct device *device, struct key *key);
/* Of a key that was found, with all of it known: leaves it the schemes that the device signs.
 * False: there is none, one line in `reason`. */
bool device_test_key(struct device *device, struct key *key, char *reason, size_t size);

/*
 * Signs by the device: sets signature and signature_length, or error to IMMURE_E_DEVICE, of each
 * job. Waits as long as the device makes progress, and for its time limit when it makes none. Any
 * thread.
 */
void device_sign(struct device *device, struct job *const *batch, size_t count);

#endif
