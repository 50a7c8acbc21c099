#include "operator/immured_program.h"

#include <libgen.h>
#include <stdio.h>
#include <unistd.h>

/* Relative to this program's directory: in the build tree, and installed (/usr/sbin is in root's
 * PATH only). */
static const char *const places[] = {"immured", "../sbin/immured"};

bool immured_program_find(char path[PATH_MAX], char *reason, size_t size)
{
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    own[length > 0 ? length : 0] = '\0';
    const char *directory = dirname(own);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int printed = snprintf(path, PATH_MAX, "%s/%s", directory, places[i]);
        if (printed < PATH_MAX && access(path, X_OK) == 0)
            return true;
    }
    snprintf(reason, size,
             "immured, which reads keys and configurations, is not installed next to this program");
    return false;
}
