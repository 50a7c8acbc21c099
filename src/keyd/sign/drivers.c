#include "keyd/sign/drivers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

bool drivers_init(struct drivers *drivers, size_t most)
{
    *drivers = (struct drivers){.instances = calloc(most + 1, sizeof(struct driver)),
                                .list = calloc(most + 1, sizeof(struct driver *))};
    return drivers->instances != NULL && drivers->list != NULL;
}

bool drivers_add(struct drivers *drivers, const struct driver *prototype, const char *section,
                 const void *settings)
{
    struct driver *instance = &drivers->instances[drivers->count];
    *instance = *prototype;
    instance->settings = settings;
    if (section != NULL) {
        if (asprintf(&instance->section_name, "%s:%s", prototype->name, section) < 0)
            return false;
        instance->name = instance->section_name;
    }
    drivers->list[drivers->count++] = instance;
    return true;
}

bool drivers_privileged(const struct drivers *drivers)
{
    bool privileged = false;
    for (size_t i = 0; i < drivers->count; i++)
        privileged |= drivers->instances[i].privileged;
    return privileged;
}

bool drivers_open(struct drivers *drivers, const struct files *files)
{
    char reason[768];
    bool good = true;
    for (size_t i = 0; i < drivers->count; i++) {
        struct driver *instance = &drivers->instances[i];
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

const struct driver *drivers_find(const struct drivers *drivers, const char *name)
{
    for (size_t i = 0; i < drivers->count; i++)
        if (strcmp(drivers->instances[i].name, name) == 0)
            return &drivers->instances[i];
    return NULL;
}

bool drivers_start(const struct drivers *drivers)
{
    for (size_t i = 0; i < drivers->count; i++)
        if (drivers->instances[i].start != NULL &&
            !drivers->instances[i].start(&drivers->instances[i]))
            return false;
    return true;
}

bool drivers_stop(const struct drivers *drivers)
{
    bool stopped = true;
    for (size_t i = 0; i < drivers->count; i++)
        if (drivers->instances[i].stop != NULL)
            stopped &= drivers->instances[i].stop(&drivers->instances[i]);
    return stopped;
}

void drivers_close(struct drivers *drivers)
{
    for (size_t i = 0; i < drivers->count; i++) {
        struct driver *instance = &drivers->instances[i];
        if (instance->close != NULL && instance->state != NULL)
            instance->close(instance);
        free(instance->section_name);
    }
    free(drivers->instances);
    free(drivers->list);
    *drivers = (struct drivers){.count = 0};
}
