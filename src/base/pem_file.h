/*
 * Reads the certificates of a PEM file that holds the private key, too, without reading a byte of
 * that key: only immured ever has one in its memory.
 */
#ifndef BASE_PEM_FILE_H
#define BASE_PEM_FILE_H

#include <stddef.h>

#define PEM_FILE_MAX (1 << 20)

/* The text before the file's first private key and that after its last one, followed by a zero byte
 * that *length does not count; the caller frees it. NULL with errno: EFBIG, or why it cannot be
 * read. */
char *pem_file_read(int file, size_t *length);

#endif
