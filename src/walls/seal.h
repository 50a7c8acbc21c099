/* Memory that nobody may remap, give back or make writable any more (mseal, Linux 6.10). */
#ifndef WALLS_SEAL_H
#define WALLS_SEAL_H

#include <stddef.h>

#include "walls/report.h"

/* Everything that is mapped now and not writable: code, constants, tables of addresses. Needs
 * /proc/self/maps. */
void seal_code(struct report *report);
/* Whole pages. */
void seal_range(const char *wall, void *memory, size_t length, struct report *report);

#endif
