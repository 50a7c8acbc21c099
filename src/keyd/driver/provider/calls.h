/*
 * The system calls that a device's module makes while it signs, beyond immured's own. The
 * configuration names them, one by one or as a group; for some modules they are known.
 */
#ifndef KEYD_DRIVER_PROVIDER_CALLS_H
#define KEYD_DRIVER_PROVIDER_CALLS_H

#include <stdbool.h>
#include <stddef.h>

#include "keyd/driver/provider/config.h"

#define PROVIDER_CALLS_MAX 48

/* Writes the calls into calls[], ended by -1, and their names, separated by blanks, into `text`.
 * False: one line in `reason`. */
bool provider_calls(const struct provider_config *config, int calls[PROVIDER_CALLS_MAX], char *text,
                    size_t text_size, char *reason, size_t size);

#endif
