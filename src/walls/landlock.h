/*
 * Landlock (landlock(7)): a process without root privileges gives up rights of its own. Rights that
 * the kernel cannot restrict yet are left out, and the report says so.
 */
#ifndef WALLS_LANDLOCK_H
#define WALLS_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walls/report.h"

struct landlock_exceptions {
    bool files;            /* leaves all files accessible; otherwise none can be opened */
    bool network;          /* leaves TCP and abstract sockets alone; otherwise no TCP but */
    const uint16_t *ports; /* connections to these TCP ports */
    size_t port_count;
};

/* Applies to the calling thread and the threads that it starts afterwards. Open files stay open. */
void landlock_apply(const struct landlock_exceptions *exceptions, struct report *report);

#endif
