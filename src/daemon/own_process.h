/* What both masters find out about their own process, and change in it. */
#ifndef DAEMON_OWN_PROCESS_H
#define DAEMON_OWN_PROCESS_H

#include <limits.h>
#include <stdbool.h>

/* Finds the path of this program. After an upgrade of the package a newer program is at that path,
 * and that is the one to start. False with errno. */
bool own_process_find_program(char path[static PATH_MAX]);
/* Keeps debuggers of the same user from reading the memory of this process, and the kernel from
 * writing a core file. */
void own_process_hide_memory(void);

#endif
