/* The program immured that belongs to this one. */
#ifndef OPERATOR_IMMURED_PROGRAM_H
#define OPERATOR_IMMURED_PROGRAM_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* False: it is not there, and one line in `reason` says so. */
bool immured_program_find(char path[PATH_MAX], char *reason, size_t size);

#endif
