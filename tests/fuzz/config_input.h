/* A configuration that a fuzzer wrote, as a file, and what its reading would do outside. */
#ifndef TESTS_FUZZ_CONFIG_INPUT_H
#define TESTS_FUZZ_CONFIG_INPUT_H

#include <stddef.h>
#include <stdint.h>

/* The path of a file in memory that has this text. It is the same file each time. What is logged is
 * formatted and then dropped. */
const char *config_input(const uint8_t *data, size_t size);

#endif
