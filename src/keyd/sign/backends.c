#include "keyd/sign/backends.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

bool backends_init(struct backends *backends, size_t most)
{
    *backends = (struct backends){.instances = calloc(most + 1, sizeof(struct backend)),
                                  .list = calloc(most + 1, sizeof(struct backend *))};
    return backends->instances != NULL && backends->list != NULL;
}

bool backends_add(struct backends *backends, const struct backend *prototype, const char *section,
                  const void *settings)
{
    struct backend *instance = &backends->instances[backends->count];
    *instance = *prototype;
    instance->settings = settings;
    if (section != NULL) {
        if (asprintf(&instance->section_name, "%s:%s", prototype->name, section) < 0)
            return false;
        instance->name = instance->section_name;
    }
    backends->list[backends->count++] = instance;
    return true;
}

bool backends_privileged(const struct backends *backends)
{
    bool privileged = false;
    for (size_t i = 0; i < backends->count; i++)
        privileged |= backends->instances[i].privileged;
    return privileged;
}

bool backends_open(struct backends *backends, const struct files *files)
{
    char reason[768];
    bool good = true;
    for (size_t i = 0; i < backends->count; i++) {
        struct backend *instance = &backends->instances[i];
        if (instance->open == NULL || instance->open(instance, files, reason, sizeof reason))
            continue;
        if (instance->sections)
            log_error("%s", reason);
        else
            log_info("backend %s: %s", instance->name, reason);
        good &= !instance->sections;
    }
    return good;
}

const struct backend *backends_find(const struct backends *backends, const char *name)
{
    for (size_t i = 0; i < backends->count; i++)
        if (strcmp(backends->instances[i].name, name) == 0)
            return &backends->instances[i];
    return NULL;
}

bool backends_start(const struct backends *backends)
{
    for (size_t i = 0; i < backends->count; i++)
        if (backends->instances[i].start != NULL &&
            !backends->instances[i].start(&backends->instances[i]))
            return false;
    return true;
}

bool backends_stop(const struct backends *backends)
{
    bool stopped = true;
    for (size_t i = 0; i < backends->count; i++)
        if (backends->instances[i].stop != NULL)
            stopped &= backends->instances[i].stop(&backends->instances[i]);
    return stopped;
}

void backends_close(struct backends *backends)
{
    for (size_t i = 0; i < backends->count; i++) {
        struct backend *instance = &backends->instances[i];
        if (instance->close != NULL && instance->state != NULL)
            instance->close(instance);
        free(instance->section_name);
    }
    free(backends->instances);
    free(backends->list);
    *backends = (struct backends){.count = 0};
}
