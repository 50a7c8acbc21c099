#include "base/duration.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static const struct unit {
    const char *name;
    uint64_t ns;
} units[] = {
    {"h", 3600 * NS_PER_S}, {"m", 60 * NS_PER_S}, {"s", NS_PER_S},
    {"ms", NS_PER_MS},      {"us", NS_PER_US},
};
#define UNIT_COUNT (sizeof units / sizeof *units)

bool duration_parse(const char *text, uint64_t *ns)
{
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || errno != 0)
        return false;
    for (size_t i = 0; i < UNIT_COUNT; i++)
        if (strcmp(end, units[i].name) == 0)
            return !__builtin_mul_overflow(number, units[i].ns, ns);
    return false;
}

char *duration_format(uint64_t ns, char text[DURATION_TEXT_SIZE])
{
    size_t i = 0;
    while (i < UNIT_COUNT - 1 && (ns < units[i].ns || ns % units[i].ns != 0))
        i++;
    snprintf(text, DURATION_TEXT_SIZE, "%ju%s", (uintmax_t)(ns / units[i].ns), units[i].name);
    return text;
}
