/* A key that is used through a module: in the device itself, or in memory and lent to it. */
#ifndef KEYD_DRIVER_PROVIDER_KEY_H
#define KEYD_DRIVER_PROVIDER_KEY_H

#include "keyd/driver/provider/module.h"
#include "keyd/keys/key.h"

struct device;

struct device_key {
    struct device *device; /* that has it in its list */
    struct key *key;
    char *uri;          /* NULL: a key in memory */
    struct secret file; /* what is in the file that a file: URI names; else empty */

    EVP_PKEY *handle; /* the device's; NULL: it has none now */
    uint64_t serves;  /* bits by place in wire_schemes; none: it signs nothing now */
    uint64_t served;  /* the same, and ever before */

    struct operation *hanging; /* a trial without an answer yet: no other is begun; NULL: none */
};

/* `files`: where that of a file: URI is open. NULL: one line in `reason`. */
struct device_key *device_key_new(struct key *key, const char *uri, const struct files *files,
                                  char *reason, size_t size);
void device_key_free(struct device_key *key);

/* Asks the module for it. NULL: libcrypto's error queue says why. */
EVP_PKEY *device_key_find(const struct device_key *key, const struct module *module);
uint64_t device_key_bit(const struct wire_scheme *scheme);

#endif
