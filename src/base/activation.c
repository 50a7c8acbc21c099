#include "base/activation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptor.h"

#define PASSED_FIRST 3  /* SD_LISTEN_FDS_START */
#define PASSED_MAX 1024 /* a service manager passes fewer */

static long number_of(const char *text)
{
    char *end;
    if (text == NULL || *text == '\0')
        return -1;
    long number = strtol(text, &end, 10);
    return *end == '\0' ? number : -1;
}

static bool option_is(int socket, int option, int wanted)
{
    int value;
    socklen_t size = sizeof value;
    return getsockopt(socket, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

bool activation_add(struct activation *activation, const char *name, int socket)
{
    size_t size = (activation->count + 1) * sizeof *activation->sockets;
    struct activated *sockets = realloc(activation->sockets, size);
    if (sockets == NULL) {
        descriptor_close(&socket);
        return false;
    }
    activation->sockets = sockets;
    struct activated *added = &sockets[activation->count++];
    *added = (struct activated){.socket = socket};
    snprintf(added->name, sizeof added->name, "%s", name);
    return true;
}

/* The next of the colon-separated names, or "": names are optional in sd_listen_fds(3). */
static void next_name(const char **names, char name[ACTIVATION_NAME_MAX + 1])
{
    size_t length = strcspn(*names, ":");
    snprintf(name, ACTIVATION_NAME_MAX + 1, "%.*s", (int)length, *names);
    *names += length;
    *names += **names == ':';
}

static bool take_sockets(struct activation *activation, long count, const char *names, char *reason,
                         size_t size)
{
    char name[ACTIVATION_NAME_MAX + 1];
    for (int socket = PASSED_FIRST; socket < PASSED_FIRST + count; socket++) {
        next_name(&names, name);
        if (!option_is(socket, SO_TYPE, SOCK_STREAM) || !option_is(socket, SO_ACCEPTCONN, 1) ||
            !descriptor_set_close_on_exec(socket, true)) {
            snprintf(reason, size,
                     "LISTEN_FDS: descriptor %d%s%s%s is not a listening stream socket", socket,
                     name[0] != '\0' ? " (" : "", name, name[0] != '\0' ? ")" : "");
            return false;
        }
        if (!activation_add(activation, name, socket)) {
            snprintf(reason, size, "LISTEN_FDS: out of memory");
            return false;
        }
    }
    return true;
}

bool activation_take(struct activation *activation, char *reason, size_t size)
{
    const char *names = getenv("LISTEN_FDNAMES");
    long count = number_of(getenv("LISTEN_FDS"));
    bool for_us = number_of(getenv("LISTEN_PID")) == (long)getpid();
    bool good = true;
    if (for_us && (count < 0 || count > PASSED_MAX)) {
        snprintf(reason, size, "LISTEN_FDS: not a number of sockets");
        good = false;
    } else if (for_us) {
        good = take_sockets(activation, count, names != NULL ? names : "", reason, size);
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return good;
}

int activation_find(const struct activation *activation, const char *name)
{
    int found = -1;
    errno = ENOENT;
    for (size_t i = 0; i < activation->count; i++) {
        if (strcmp(activation->sockets[i].name, name) != 0)
            continue;
        if (found >= 0) {
            errno = EEXIST;
            return -1;
        }
        found = activation->sockets[i].socket;
    }
    return found;
}

void activation_close(struct activation *activation)
{
    for (size_t i = 0; i < activation->count; i++)
        descriptor_close(&activation->sockets[i].socket);
    free(activation->sockets);
    *activation = (struct activation){0};
}
