/* Bytes as lower-case hexadecimal text. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stddef.h>
#include <stdint.h>

/* `text` has room for 2 * length + 1 characters. Returns text. */
char *hex_encode(const uint8_t *bytes, size_t length, char *text);

#endif
