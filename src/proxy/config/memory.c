#include "proxy/config/memory.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#define LINE_SIZE (PATH_MAX + 64)

/* These are the kernel's own files, so that opening them never waits. NULL: there is none. */
static FILE *open_under(const char *root, const char *path)
{
    char full[2 * PATH_MAX];
    int length = snprintf(full, sizeof full, "%s%s", root, path);
    return length > 0 && (size_t)length < sizeof full ? fopen(full, "re") : NULL;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The number at the beginning of a text; UINT64_MAX: there is no number, as in "max". */
static uint64_t number_of(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 10);
    return end != text ? number : UINT64_MAX;
}

static uint64_t available(const char *root)
{
    static const char field[] = "MemAvailable:";
    uint64_t kib = UINT64_MAX;
    char line[LINE_SIZE];
    FILE *file = open_under(root, "/proc/meminfo");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, field, strlen(field)) == 0)
            kib = number_of(line + strlen(field));
    if (file != NULL)
        fclose(file);
    return kib <= UINT64_MAX / 1024 ? kib * 1024 : UINT64_MAX;
}

/* In version 1 a number near 2^63 stands for no limit. */
static uint64_t limit_in(const char *root, const char *folder, const char *name)
{
    uint64_t limit = UINT64_MAX;
    char path[LINE_SIZE], line[64];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = length > 0 && (size_t)length < sizeof path ? open_under(root, path) : NULL;
    if (file != NULL && fgets(line, sizeof line, file) != NULL)
        limit = number_of(line);
    if (file != NULL)
        fclose(file);
    return limit;
}

/* A group is bound by the limits of all that it is within. In a container the path may be that
 * outside of it, which leads nowhere; then the top has the container's own limit. */
static uint64_t limit_of_group(const char *root, const char *mount, const char *group,
                               const char *name)
{
    uint64_t limit = UINT64_MAX;
    char folder[LINE_SIZE];
    int length = snprintf(folder, sizeof folder, "%s%s", mount, group);
    if (length < 0 || (size_t)length >= sizeof folder)
        return limit;
    for (size_t top = strlen(mount); strlen(folder) >= top;) {
        limit = least(limit, limit_in(root, folder, name));
        char *end = strrchr(folder, '/');
        if (end == NULL)
            break;
        *end = '\0';
    }
    return limit;
}

/* Whether the controllers of version 1, with "," between, have memory among them. */
static bool has_memory(char *controllers)
{
    for (const char *one; (one = strsep(&controllers, ",")) != NULL;)
        if (strcmp(one, "memory") == 0)
            return true;
    return false;
}

/* Lines of /proc/self/cgroup: "ID:CONTROLLERS:PATH", and "0::PATH" of version 2. */
static uint64_t limit_of_groups(const char *root)
{
    uint64_t limit = UINT64_MAX;
    char line[LINE_SIZE];
    FILE *file = open_under(root, "/proc/self/cgroup");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *rest = line, *id = strsep(&rest, ":"), *controllers = strsep(&rest, ":");
        if (rest == NULL)
            continue;
        rest[strcspn(rest, "\n")] = '\0';
        if (strcmp(id, "0") == 0 && controllers[0] == '\0')
            limit = least(limit, limit_of_group(root, "/sys/fs/cgroup", rest, "memory.max"));
        else if (has_memory(controllers))
            limit = least(limit, limit_of_group(root, "/sys/fs/cgroup/memory", rest,
                                                "memory.limit_in_bytes"));
    }
    if (file != NULL)
        fclose(file);
    return limit;
}

uint64_t memory_by_files(const char *root)
{
    return least(available(root), limit_of_groups(root));
}

uint64_t memory_allowed(void)
{
    struct sysinfo machine;
    uint64_t all =
        sysinfo(&machine) == 0 ? (uint64_t)machine.totalram * machine.mem_unit : UINT64_MAX;
    return least(all, memory_by_files(""));
}
