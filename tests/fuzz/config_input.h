/* A fuzzer's configuration as a file, without the side effects of reading it. */
#ifndef TESTS_FUZZ_CONFIG_INPUT_H
#define TESTS_FUZZ_CONFIG_INPUT_H

#include <stddef.h>
#include <stdint.h>

/* The path of a memory file with this text, the same file each time. Log lines are formatted and
 * dropped. */
const char *config_input(const uint8_t *data, size_t size);

#endif
