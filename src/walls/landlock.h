/*
 * Landlock (landlock(7)): a process gives up rights of its own, without being root. What the kernel
 * does not know yet is left out, and the report says so.
 */
#ifndef WALLS_LANDLOCK_H
#define WALLS_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walls/report.h"

struct landlock_exceptions {
    bool files;            /* all files; else none can be opened */
    bool network;          /* TCP, and sockets under abstract names; else no TCP but */
    const uint16_t *ports; /* connections to these TCP ports */
    size_t port_count;
};

/* For the calling thread and those that it starts afterwards. What is open stays open. */
void landlock_apply(const struct landlock_exceptions *exceptions, struct report *report);

#endif
