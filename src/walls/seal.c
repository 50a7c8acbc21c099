#include "walls/seal.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

static bool seal(uintptr_t begin, size_t length)
{
    return syscall(SYS_mseal, begin, length, 0) == 0;
}

/* The list includes the kernel's own pages ([vdso] etc.). Some of them cannot be sealed, and none
 * need be. */
static bool is_kernels(const char *name)
{
    return strstr(name, "[v") != NULL;
}

static size_t seal_constant(FILE *maps, size_t *failures)
{
    char line[512];
    size_t sealed = 0;
    while (fgets(line, sizeof line, maps) != NULL) {
        /* "begin-end rights ..." */
        char *rest;
        uintptr_t begin = strtoull(line, &rest, 16);
        uintptr_t end = *rest == '-' ? strtoull(rest + 1, &rest, 16) : 0;
        if (rest[0] != ' ' || rest[1] != 'r' || rest[2] == 'w' || rest[4] == 's' ||
            is_kernels(line))
            continue;
        if (seal(begin, end - begin))
            sealed += end - begin;
        else
            ++*failures;
    }
    return sealed;
}

void seal_code(struct report *report)
{
    size_t failures = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!seal(0, 0)) {
        report_note(report, "sealed code", false, "mseal: %s", strerror(errno));
    } else if (maps == NULL) {
        report_note(report, "sealed code", false, "/proc/self/maps: %s", strerror(errno));
    } else {
        size_t sealed = seal_constant(maps, &failures);
        report_note(report, "sealed code", failures == 0, "%zu KiB of code and constants%s",
                    sealed / 1024, failures > 0 ? "; some could not be sealed" : "");
    }
    if (maps != NULL)
        fclose(maps);
}

bool seal_pages(void *memory, size_t length)
{
    return seal((uintptr_t)memory, length);
}

void seal_range(const char *wall, void *memory, size_t length, struct report *report)
{
    bool sealed = seal_pages(memory, length);
    report_note(report, wall, sealed, "%s",
                sealed ? "can be neither unmapped nor remapped" : strerror(errno));
}
