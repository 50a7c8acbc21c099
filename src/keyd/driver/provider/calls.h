/*
 * The system calls that a device's module makes while it signs, beyond immured's own: named in the
 * configuration, one by one or as a group, or known for modules that have been watched.
 */
#ifndef KEYD_DRIVER_PROVIDER_CALLS_H
#define KEYD_DRIVER_PROVIDER_CALLS_H

#include <stdbool.h>
#include <stddef.h>

#include "keyd/driver/provider/config.h"

#define PROVIDER_CALLS_MAX 48

/* Into calls[], ended by -1, and their names, with blanks between, into `text`. False: one line in
 * `reason`. */
bool provider_calls(const struct provider_config *config, int calls[PROVIDER_CALLS_MAX], char *text,
                    size_t text_size, char *reason, size_t size);

#endif
