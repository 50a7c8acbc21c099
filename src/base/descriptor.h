/* Small things about file descriptors that several programs need. */
#ifndef BASE_DESCRIPTOR_H
#define BASE_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* The number of an inherited descriptor, as the command line has it; -1: it is none, or a standard
 * stream's. */
int descriptor_parse(const char *text);
bool descriptor_set_nonblocking(int descriptor, bool nonblocking);
bool descriptor_set_close_on_exec(int descriptor, bool close_on_exec);
/* Closes *descriptor unless it is negative, and makes it -1. */
void descriptor_close(int *descriptor);
/* The same under a number that is no standard stream's. Where those are closed, theirs are the next
 * numbers to be given away, and what is meant for them would go into whatever has one. -1 with
 * errno: there is none, and the descriptor is closed. */
int descriptor_above_streams(int descriptor);
/* Closes all but the standard streams and these `count` (negative: none), which it sorts. */
bool descriptor_close_others(int *keep, size_t count);
/* As many as the system allows this process at most. */
void descriptor_raise_limit(void);

/* A file without a directory entry that holds these bytes, and that nobody can change any more:
 * close-on-exec, at its beginning. `name` is for /proc. -1 with errno. */
int descriptor_of_bytes(const char *name, const void *bytes, size_t length);

/*
 * One message, and with it descriptors, over a SOCK_SEQPACKET unix socket.
 * Return the length, 0 at end of file, -1 with errno (EMFILE: there is no room for the descriptors
 * that came, and none of them is open). Received descriptors are close-on-exec.
 */
#define DESCRIPTORS_MAX 32

ssize_t descriptors_send(int socket, const struct iovec *parts, size_t part_count,
                         const int *descriptors, size_t count);
ssize_t descriptors_receive(int socket, const struct iovec *parts, size_t part_count,
                            int descriptors[static DESCRIPTORS_MAX], size_t *count);

/* The same with one descriptor at most; -1: with none. */
ssize_t descriptor_send(int socket, const void *message, size_t length, int descriptor);
ssize_t descriptor_receive(int socket, void *message, size_t size, int *descriptor);

#endif
