/* Tests whether a device signs with a key. */
#ifndef KEYD_DRIVER_PROVIDER_TRIAL_H
#define KEYD_DRIVER_PROVIDER_TRIAL_H

#include "keyd/driver/provider/key.h"

/* Signs once under each scheme, and verifies with the public copy of the key. Returns bits as in
 * `serves`; 0: one line in `reason`. */
uint64_t device_key_try(struct device_key *key, struct module *module, EVP_PKEY *handle,
                        char *reason, size_t size);

#endif
