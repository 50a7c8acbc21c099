#include "daemon/title.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The kernel shows this memory as the command line. */
static struct {
    char *start;
    size_t size;
    char *environment; /* where the strings of the environment are now; never freed */
} title;

/* False: out of memory. */
static bool move_environment(void)
{
    size_t size = 1;
    for (int i = 0; environ[i] != NULL; i++)
        size += strlen(environ[i]) + 1;
    char *next = title.environment = malloc(size);
    for (int i = 0; next != NULL && environ[i] != NULL; i++) {
        size_t length = strlen(environ[i]) + 1;
        environ[i] = memcpy(next, environ[i], length);
        next += length;
    }
    return next != NULL;
}

void title_setup(int argc, char **argv)
{
    char *end = argv[0];
    for (int i = 0; i < argc && argv[i] == end; i++)
        end += strlen(argv[i]) + 1;
    for (int i = 0; environ[i] != NULL; i++)
        if (environ[i] == end)
            end += strlen(environ[i]) + 1;
    if (!move_environment())
        return;
    title.start = argv[0];
    title.size = (size_t)(end - argv[0]);
}

void title_set(const char *format, ...)
{
    if (title.size < 2)
        return;
    va_list arguments;
    va_start(arguments, format);
    memset(title.start, 0, title.size);
    vsnprintf(title.start, title.size - 1, format, arguments);
    va_end(arguments);
}
