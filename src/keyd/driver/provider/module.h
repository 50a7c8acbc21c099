/*
 * What talks to a device: an OpenSSL provider in a library context of its own, or an engine. It is
 * opened and closed by one thread; the others may sign meanwhile with keys that they hold.
 */
#ifndef KEYD_DRIVER_PROVIDER_MODULE_H
#define KEYD_DRIVER_PROVIDER_MODULE_H

#include <openssl/types.h>

#include "keyd/driver/provider/config.h"
#include "keyd/keys/secret.h"
#include "wire/scheme.h"

struct module {
    const struct provider_config *config;
    const struct secret *pin; /* what a key or a token is asked for */
    OSSL_LIB_CTX *context;    /* NULL: an engine, or not open */
    char *properties;         /* of the provider's algorithms */
    ENGINE *engine;           /* NULL: a provider, or not open */
    uint64_t health_at;       /* when its device is to be asked how it is */
};

/* False: one line in `reason`; close it all the same. */
bool module_open(struct module *module, char *reason, size_t size);
void module_close(struct module *module);
/* Looks for the device anew, when no key is held any more. As module_open(). */
bool module_restart(struct module *module, char *reason, size_t size);

/* Whether it wants module_poll() while anything is under way. */
bool module_polled(const struct module *module);
/* Has jobs that can go on go on; for modules that are not polled it does nothing. One thread. */
void module_poll(struct module *module);

/* The key that a URI names; `file`: what a file: URI's file holds, else empty. NULL: libcrypto's
 * error queue says why, as for all that follow. */
EVP_PKEY *module_find_key(const struct module *module, const char *uri, const struct secret *file);
/* A key in memory, to be used by the device. */
EVP_PKEY *module_take_key(const struct module *module, EVP_PKEY *pair);
/* A digest (Ed25519: a message). *length: the room there is, then the signature's length. */
bool module_sign(const struct module *module, EVP_PKEY *key, const struct wire_scheme *scheme,
                 const uint8_t *input, size_t input_length, uint8_t *signature, size_t *length);

/* The first error in libcrypto's queue as one line; empties the queue. Returns text. */
const char *module_reason(char *text, size_t size);
/* What has been loaded stays mapped, so that a module can be opened again when nothing may be
 * mapped to be run. */
void modules_pin(void);

#endif
