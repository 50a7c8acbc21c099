/* Bytes as hexadecimal text, which is written in lower case. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `text` has room for 2 * length + 1 characters. Returns text. */
char *hex_encode(const uint8_t *bytes, size_t length, char *text);

/* Reads 2 * length digits of either case; what follows them is not looked at. False: there are
 * fewer. */
bool hex_decode(const char *text, uint8_t *bytes, size_t length);

#endif
