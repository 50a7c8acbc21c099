/* What both masters need to know about their own process, and do to it. */
#ifndef DAEMON_OWN_PROCESS_H
#define DAEMON_OWN_PROCESS_H

#include <limits.h>
#include <stdbool.h>

/* The path of this program. What is there later may be a newer one: after an upgrade of the package
 * that is the one to start. False with errno. */
bool own_process_find_program(char path[static PATH_MAX]);
/* No debugger of the same user reads its memory, and it leaves no core file. */
void own_process_hide_memory(void);

#endif
