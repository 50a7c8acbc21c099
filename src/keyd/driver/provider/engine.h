/* The parts of module.h that differ for an engine (OpenSSL 3; OpenSSL 4 has no engines). */
#ifndef KEYD_DRIVER_PROVIDER_ENGINE_H
#define KEYD_DRIVER_PROVIDER_ENGINE_H

#include <openssl/types.h>
#include <stdbool.h>

#include "keyd/driver/provider/config.h"

/* NULL: the reason is in libcrypto's error queue. */
ENGINE *engine_open(const struct provider_config *config);
void engine_close(ENGINE *engine);
/* Finishes and initialises the engine again, so that it looks for its device. */
bool engine_restart(ENGINE *engine);
/* For engines that their caller must poll (ENABLE_EXTERNAL_POLLING): collects the device's results,
 * and checks its health if `health` is set. Only one thread may call it. */
void engine_poll(ENGINE *engine, bool health);
EVP_PKEY *engine_find_key(ENGINE *engine, const char *uri, UI_METHOD *ui, void *ui_data);
/* A copy of an RSA or EC key that is bound to the engine, which does not become the default for
 * other keys. NULL: the engine has no device, or cannot use the key. */
EVP_PKEY *engine_take_key(ENGINE *engine, const EVP_PKEY *pair);

#endif
