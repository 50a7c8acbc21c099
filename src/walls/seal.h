/* Sealed memory: it can no longer be remapped, unmapped or made writable (mseal, Linux 6.10). */
#ifndef WALLS_SEAL_H
#define WALLS_SEAL_H

#include <stddef.h>

#include "walls/report.h"

/* Seals everything that is mapped now and not writable: code, constants, relocated tables; but not
 * what is shared with other processes, because its owner may be done with it. Needs
 * /proc/self/maps. */
void seal_code(struct report *report);
/* `memory` and `length` are whole pages. The first only seals; errno says why it could not. */
bool seal_pages(void *memory, size_t length);
void seal_range(const char *wall, void *memory, size_t length, struct report *report);

#endif
