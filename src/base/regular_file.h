/* Files as a configuration names them: nothing but a regular file is ever read. */
#ifndef BASE_REGULAR_FILE_H
#define BASE_REGULAR_FILE_H

/* Opens it to be read, close-on-exec. Never waits for a writer. -errno if it cannot be: ESPIPE if
 * it is neither a regular file nor a directory (EISDIR). */
int regular_file_open(const char *name);
/* strerror(), with words for ESPIPE. */
const char *regular_file_reason(int error);

#endif
