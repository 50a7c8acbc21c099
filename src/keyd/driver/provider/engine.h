/* The same for an engine (OpenSSL 3; there are none in OpenSSL 4). */
#ifndef KEYD_DRIVER_PROVIDER_ENGINE_H
#define KEYD_DRIVER_PROVIDER_ENGINE_H

#include <openssl/types.h>
#include <stdbool.h>

#include "keyd/driver/provider/config.h"

/* NULL: libcrypto's error queue says why, or that there are no engines. */
ENGINE *engine_open(const struct provider_config *config);
void engine_close(ENGINE *engine);
/* Makes it forget what it knows of its device, and initialises it again. */
bool engine_restart(ENGINE *engine);
/* Collects what the device has done, and every now and then asks how it is, for engines that leave
 * that to their caller (ENABLE_EXTERNAL_POLLING). One thread. */
void engine_poll(ENGINE *engine, bool health);
EVP_PKEY *engine_find_key(ENGINE *engine, const char *uri, UI_METHOD *ui, void *ui_data);
/* A copy of an RSA or EC key that is bound to the engine, if that has a device; the engine does
 * not become the default for other keys. */
EVP_PKEY *engine_take_key(ENGINE *engine, const EVP_PKEY *pair);

#endif
