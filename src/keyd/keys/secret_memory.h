/* How much secret memory this configuration needs, and getting it. */
#ifndef KEYD_KEYS_SECRET_MEMORY_H
#define KEYD_KEYS_SECRET_MEMORY_H

#include "keyd/keys/arena.h"
#include "keyd/process/config.h"
#include "walls/report.h"

/* Opens the arena, and has libcrypto allocate there: before its first use and before other threads
 * run. False: the reason was logged. */
bool secret_memory_open(const struct config *config, struct arena *arena, struct report *report);

#endif
