/* Durations as configuration files write them: a whole number and us, ms, s, m or h. */
#ifndef BASE_DURATION_H
#define BASE_DURATION_H

#include <stdbool.h>
#include <stdint.h>

#define DURATION_TEXT_SIZE 32

bool duration_parse(const char *text, uint64_t *ns);
/* Uses the largest unit that divides it exactly. Returns text. */
char *duration_format(uint64_t ns, char text[DURATION_TEXT_SIZE]);

#endif
