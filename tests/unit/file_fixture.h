/* A file for tests to write and parse: one for the program, made and removed around the group. */
#ifndef TESTS_FILE_FIXTURE_H
#define TESTS_FILE_FIXTURE_H

#include <stddef.h>

extern char file[]; /* its path */

/* Group set-up and tear-down. */
int file_make(void **state);
int file_remove(void **state);

void file_write(const void *bytes, size_t length);

#endif
