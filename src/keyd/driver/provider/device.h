/*
 * A device: a module (module.h), the keys that are used through it, and the threads that use them.
 * After the start only these threads ever enter the module, so that a signer can stop waiting for a
 * device: it abandons the operation, and at worst the device's own thread hangs.
 *
 * A device that fails is down and gets no more operations. One of its threads then tries now and
 * then to open it again, and it is up when a key signs again. Each of the two changes is logged
 * once.
 */
#ifndef KEYD_DRIVER_PROVIDER_DEVICE_H
#define KEYD_DRIVER_PROVIDER_DEVICE_H

#include "keyd/driver/provider/config.h"
#include "keyd/sign/driver.h"

struct device;
struct device_key;
struct files;

/* Call it before the sandbox is entered. `files` has the file with the PIN. NULL: one line in
 * `reason`. */
struct device *device_open(const struct provider_config *config, const struct files *files,
                           char *reason, size_t size);
/* Starts the threads, after all keys are loaded. False: reason logged. */
bool device_start(struct device *device);
/* Stops the threads. False: one hangs. */
bool device_stop(struct device *device);
/* Call it after the keys are freed. */
void device_free(struct device *device);

/* How many signatures it makes at once. */
size_t device_width(const struct device *device);

/*
 * This function and the next are called before device_start(). Both set key->prepared and
 * key->release, which removes the key from the device.
 *
 * Finds the key that `uri` names, with `files` as for device_key_new(), and sets key->pair to its
 * public half. False: one line in `reason`.
 */
bool device_find_key(struct device *device, struct key *key, const char *uri,
                     const struct files *files, char *reason, size_t size);
/* Lends a key in memory to the device. False: out of memory. If the device cannot use the key, that
 * is logged and tried again later. */
bool device_take_key(struct device *device, struct key *key);
/* Tests a key that was found and is complete: keeps only the schemes that the device signs. False:
 * there is none; one line in `reason`. */
bool device_test_key(struct device *device, struct key *key, char *reason, size_t size);

/*
 * Signs with the device: sets result and result_length of each job, or error to IMMURE_E_DEVICE.
 * Waits as long as the device makes progress, and at most its time limit when it makes none. Any
 * thread may call it.
 */
void device_sign(struct device *device, struct job *const *batch, size_t count);

#endif
