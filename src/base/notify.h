/*
 * Messages to the service manager: a datagram of NAME=value lines to the socket that $NOTIFY_SOCKET
 * names. (sd_notify(3), "Notes": the protocol is stable and may be implemented directly.)
 */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
    struct sockaddr_un address;
    socklen_t length; /* 0: there is no service manager to notify */
};

/* Removes the variable from the environment, so that no child process speaks for this one. */
void notify_open(struct notify *notify);
/* Puts the variable back, for the program that execve() starts next. False: out of memory. */
bool notify_pass_on(const struct notify *notify);
/* The service reads its configuration again, or is about to make way for another process; what it
 * sends next ends that. */
void notify_reloading(const struct notify *notify);
void notify_send(const struct notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
