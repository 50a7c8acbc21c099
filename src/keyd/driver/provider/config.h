/* A `provider` section: an OpenSSL provider or engine and its device, as the operator configures
 * them. */
#ifndef KEYD_DRIVER_PROVIDER_CONFIG_H
#define KEYD_DRIVER_PROVIDER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "keyd/rules/allow.h"
#include "wire/stats.h"

#define PROVIDER_PREFIX WIRE_NAME_PROVIDER ":" /* of the names of its drivers */

struct provider_config {
    char *name;
    char *location;        /* "immured.conf:7" */
    char *module, *engine; /* one of them is set */
    struct text_list parameters, environment;
    char *properties; /* NULL: "provider=" and the provider's name */
    char *pin_file;
    bool asynchronous;
    uint64_t threads;
    uint64_t timeout; /* ns */
    struct text_list system_calls;
};

#endif
