/*
 * Listening sockets that a service manager passes to this process, each with a name:
 * sd_listen_fds_with_names(3).
 */
#ifndef BASE_ACTIVATION_H
#define BASE_ACTIVATION_H

#include <stdbool.h>
#include <stddef.h>

#define ACTIVATION_NAME_MAX 64

struct activated {
    char name[ACTIVATION_NAME_MAX + 1];
    int socket;
};

struct activation {
    struct activated *sockets;
    size_t count;
};

/* Takes all sockets that were passed into an empty *activation, sets close-on-exec on them and
 * removes the variables that describe them from the environment. False with one line in `reason` if
 * one of them is not a listening stream socket. */
bool activation_take(struct activation *activation, char *reason, size_t size);
/* Takes ownership of the socket. False: out of memory, and it was closed. */
bool activation_add(struct activation *activation, const char *name, int socket);
/* The one socket of this name, which the activation still owns. -1 with errno: ENOENT if there is
 * none, EEXIST if there are several. */
int activation_find(const struct activation *activation, const char *name);
void activation_close(struct activation *activation);

#endif
