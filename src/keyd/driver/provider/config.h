/* What an operator says of an OpenSSL provider or engine, and of what is behind it: a `provider`
 * section. */
#ifndef KEYD_DRIVER_PROVIDER_CONFIG_H
#define KEYD_DRIVER_PROVIDER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "keyd/rules/allow.h"

#define PROVIDER_PREFIX "provider:" /* of what signs by one */

struct provider_config {
    char *name;
    char *location;        /* "immured.conf:7" */
    char *module, *engine; /* one of them */
    struct text_list parameters, environment;
    char *properties; /* NULL: "provider=" and its name */
    char *pin_file;
    bool asynchronous;
    uint64_t threads;
    uint64_t timeout; /* ns */
    struct text_list system_calls;
};

#endif
