/* Files as a configuration names them: nothing but a regular file is ever read. */
#ifndef BASE_REGULAR_FILE_H
#define BASE_REGULAR_FILE_H

#include <stddef.h>

/* Opens it to be read, close-on-exec. Never waits for a writer. -errno if it cannot be: ESPIPE if
 * it is neither a regular file nor a directory (EISDIR). */
int regular_file_open(const char *name);
/* All of it, with a zero byte behind, which *length does not count; the caller frees it. NULL with
 * errno: EFBIG if it is longer than `most` bytes, and as above. */
char *regular_file_read(const char *name, size_t most, size_t *length);
/* strerror(), with words for ESPIPE. */
const char *regular_file_reason(int error);

#endif
