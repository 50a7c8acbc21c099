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

/* Takes all that were passed into an empty *activation, close-on-exec; the variables that tell of
 * them leave the environment. False with one line in `reason`: one is no listening stream socket,
 * or has no usable name. */
bool activation_take(struct activation *activation, char *reason, size_t size);
/* The socket is the activation's from now on. False: out of memory, and it was closed. */
bool activation_add(struct activation *activation, const char *name, int socket);
/* The one socket of this name, which stays the activation's; -1 with errno: ENOENT there is none,
 * EEXIST there are several. */
int activation_find(const struct activation *activation, const char *name);
void activation_close(struct activation *activation);

#endif
