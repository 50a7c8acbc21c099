/*
 * The signing backends "provider:NAME", one for each `provider` section of the configuration:
 * OpenSSL providers and engines, with what is behind them. What a device does not sign is signed by
 * libcrypto at once, if the key is in memory; every signature of a device is verified.
 */
#ifndef KEYD_BACKEND_PROVIDER_PROVIDER_H
#define KEYD_BACKEND_PROVIDER_PROVIDER_H

#include "keyd/backend/provider/config.h"
#include "keyd/sign/backend.h"
#include "keyd/sign/signer.h"

#define PROVIDER_PREFIX "provider:" /* of their names */

struct device;
struct files;
struct provider;

struct providers {
    struct provider *list;
    size_t count;
    const struct backend **backends; /* see providers_open() */
};

/* Before keys are loaded: opens all that are configured, with PINs from among `files`. Sets
 * providers->backends to `backends` and theirs, ended by NULL. False: reason logged. */
bool providers_open(struct providers *providers, const struct provider_config *configs,
                    size_t count, const struct files *files, const struct backend *const *backends);
/* The device of the backend so named; NULL: it is none of these. */
struct device *providers_find_device(const struct providers *providers, const char *backend);
/* When the keys are loaded. False: reason logged. */
bool providers_start(struct providers *providers);
/* With the doors closed: every key that is in a device signs once. False: reason logged. */
bool providers_try(struct signer *signer, struct key *const *keys, size_t count);
/* Before the keys are freed, and after. False: a thread hangs in a module, and may go on to use all
 * that there is. */
bool providers_stop(struct providers *providers);
void providers_free(struct providers *providers);

#endif
