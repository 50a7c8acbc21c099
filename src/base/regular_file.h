/* Files that a configuration names. Only regular files are ever read. */
#ifndef BASE_REGULAR_FILE_H
#define BASE_REGULAR_FILE_H

#include <stddef.h>

/* Opens it for reading, close-on-exec, and never waits for a FIFO's writer. -errno on failure:
 * EISDIR if it is a directory, ESPIPE if it is anything else but a regular file. */
int regular_file_open(const char *name);
/* The whole file, followed by a zero byte that *length does not count; the caller frees it. NULL
 * with errno: EFBIG if it is longer than `most` bytes, or as above. */
char *regular_file_read(const char *name, size_t most, size_t *length);
/* strerror(), with a text of our own for ESPIPE. */
const char *regular_file_reason(int error);

#endif
