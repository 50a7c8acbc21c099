/* Helpers for file descriptors. */
#ifndef BASE_DESCRIPTOR_H
#define BASE_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Parses the number of an inherited descriptor from the command line. -1 if it is not a number, or
 * is that of a standard stream. */
int descriptor_parse(const char *text);
bool descriptor_set_nonblocking(int descriptor, bool nonblocking);
bool descriptor_set_close_on_exec(int descriptor, bool close_on_exec);
/* Closes *descriptor unless it is negative, and makes it -1. */
void descriptor_close(int *descriptor);
/* Moves a descriptor to a number above the standard streams. If a process starts with those closed,
 * the next files that it opens get their numbers, and what it prints would end up in one of them.
 * -1 with errno if no number is free; the descriptor is closed then. */
int descriptor_above_streams(int descriptor);
/* Closes all descriptors but the standard streams and these `count`, which it sorts; negative ones
 * are ignored. */
bool descriptor_close_others(int *keep, size_t count);
/* Raises the soft limit of open descriptors to the hard limit. */
void descriptor_raise_limit(void);

/* A sealed memory file (memfd_create) that holds these bytes, close-on-exec, at offset 0. `name`
 * appears in /proc. -1 with errno. */
int descriptor_of_bytes(const char *name, const void *bytes, size_t length);

/*
 * One message with descriptors attached, over a SOCK_SEQPACKET unix socket. Both return the length,
 * 0 at end of file, -1 with errno (EMFILE: there was no room for the descriptors that arrived, and
 * all of them were closed). Received descriptors are close-on-exec.
 */
#define DESCRIPTORS_MAX 32

ssize_t descriptors_send(int socket, const struct iovec *parts, size_t part_count,
                         const int *descriptors, size_t count);
ssize_t descriptors_receive(int socket, const struct iovec *parts, size_t part_count,
                            int descriptors[static DESCRIPTORS_MAX], size_t *count);

/* The same with at most one descriptor; -1 stands for none. */
ssize_t descriptor_send(int socket, const void *message, size_t length, int descriptor);
ssize_t descriptor_receive(int socket, void *message, size_t size, int *descriptor);

#endif
