#include "storm/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/regular_file.h"

#define FILE_MAX ((size_t)1 << 30)

static size_t count_lines(const char *text)
{
    size_t count = 1;
    while ((text = strchr(text, '\n')) != NULL) {
        text++;
        count++;
    }
    return count;
}

bool names_load(struct names *names, const char *path, char *reason, size_t size)
{
    size_t length;
    *names = (struct names){.text = regular_file_read(path, FILE_MAX, &length)};
    if (names->text == NULL) {
        snprintf(reason, size, "--names: %s: %s", path, regular_file_reason(errno));
        return false;
    }
    names->lines = calloc(count_lines(names->text), sizeof *names->lines);
    if (names->lines == NULL) {
        snprintf(reason, size, "--names: out of memory");
        return false;
    }
    char *rest = names->text, *line;
    while ((line = strsep(&rest, "\n")) != NULL)
        if (*line != '\0')
            names->lines[names->count++] = line;
    snprintf(reason, size, "--names: %s: it has no names", path);
    return names->count > 0;
}

void names_free(struct names *names)
{
    free(names->lines);
    free(names->text);
    *names = (struct names){.count = 0};
}

const char *names_at(const struct names *names, uint64_t number)
{
    return names->lines[number % names->count];
}
