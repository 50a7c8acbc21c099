/*
 * A module talks to a device: it is an OpenSSL provider in a library context of its own, or an
 * engine. One thread opens and closes it; meanwhile others may sign with keys that they hold.
 */
#ifndef KEYD_DRIVER_PROVIDER_MODULE_H
#define KEYD_DRIVER_PROVIDER_MODULE_H

#include <openssl/types.h>

#include "keyd/driver/provider/config.h"
#include "keyd/keys/secret.h"
#include "wire/scheme.h"

struct module {
    const struct provider_config *config;
    const struct secret *pin; /* of the token or its keys */
    OSSL_LIB_CTX *context;    /* NULL: an engine, or not open */
    char *properties;         /* of the provider's algorithms */
    ENGINE *engine;           /* NULL: a provider, or not open */
    uint64_t health_at;       /* when the next check of the device's health is due */
};

/* False: one line in `reason`; the caller still closes it. */
bool module_open(struct module *module, char *reason, size_t size);
void module_close(struct module *module);
/* Looks for the device again. No key may be held any more. Fails like module_open(). */
bool module_restart(struct module *module, char *reason, size_t size);

/* Whether module_poll() must be called while operations are in flight. */
bool module_polled(const struct module *module);
/* Lets paused jobs continue that can; does nothing for modules that need no polling. Only one
 * thread may call it. */
void module_poll(struct module *module);

/* Finds the key that a URI names. `file`: the content of a file: URI's file, else empty. When this
 * function or a following one fails, the reason is in libcrypto's error queue. */
EVP_PKEY *module_find_key(const struct module *module, const char *uri, const struct secret *file);
/* Imports a key in memory, for use by the device. */
EVP_PKEY *module_take_key(const struct module *module, EVP_PKEY *pair);
/* Signs a digest (Ed25519: a message). *length is the room, then the signature's length. */
bool module_sign(const struct module *module, EVP_PKEY *key, const struct wire_scheme *scheme,
                 const uint8_t *input, size_t input_length, uint8_t *signature, size_t *length);

/* Writes the errors in libcrypto's queue as one line, and empties the queue. Returns text. */
const char *module_reason(char *text, size_t size);
/* Keeps all loaded libraries mapped, so that a module can be opened again inside the sandbox, where
 * no code can be mapped. */
void modules_pin(void);

#endif
