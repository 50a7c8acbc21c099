/* A key that is used through a module: it is in the device itself, or in memory and lent to it. */
#ifndef KEYD_DRIVER_PROVIDER_KEY_H
#define KEYD_DRIVER_PROVIDER_KEY_H

#include "keyd/driver/provider/module.h"
#include "keyd/keys/key.h"

struct device;

struct device_key {
    struct device *device; /* the one that has it in its list */
    struct key *key;
    char *uri;          /* NULL: a key in memory */
    struct secret file; /* the content of the file that a file: URI names; else empty */

    EVP_PKEY *handle; /* the module's key; NULL: it has none now */
    uint64_t serves;  /* the schemes that it signs now, a bit for each place in wire_schemes */
    uint64_t served;  /* the schemes that it has signed at any time */

    struct device_operation
        *hanging; /* a trial without an answer, after which none begins; or NULL */
};

/* `files` has the file of a file: URI. NULL: one line in `reason`. */
struct device_key *device_key_new(struct key *key, const char *uri, const struct files *files,
                                  char *reason, size_t size);
void device_key_free(struct device_key *key);

/* Asks the module for the key. NULL: the reason is in libcrypto's error queue. */
EVP_PKEY *device_key_find(const struct device_key *key, const struct module *module);
uint64_t device_key_bit(const struct wire_scheme *scheme);

#endif
