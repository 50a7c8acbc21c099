/*
 * Runs a fuzz target without a fuzzer: for a second, over inputs that one seed makes, so that the
 * ordinary test run meets them too. With file names it runs those inputs instead.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "target.h"

#define INPUT_MAX 4096

/* xorshift64*: the same inputs everywhere. (G. Marsaglia, S. Vigna) */
static uint64_t random_next(void)
{
    static uint64_t state = 0x494d4d555245;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(2685821657736338717);
}

/* Bytes that are mostly small: then types, lengths and ids are often right. */
static size_t make_input(uint8_t *input)
{
    size_t length = (size_t)(random_next() % INPUT_MAX);
    for (size_t i = 0; i < length; i++) {
        uint64_t random = random_next();
        input[i] = (uint8_t)(random % 8 == 0 ? random >> 8 : random >> 8 & 15);
    }
    return length;
}

static int run_file(const char *path)
{
    static uint8_t input[1 << 20];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return EXIT_FAILURE;
    }
    size_t length = fread(input, 1, sizeof input, file);
    fclose(file);
    LLVMFuzzerTestOneInput(input, length);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (run_file(argv[i]) != EXIT_SUCCESS)
            return EXIT_FAILURE;
    if (argc > 1)
        return EXIT_SUCCESS;

    static uint8_t input[INPUT_MAX];
    uint64_t end = clock_now() + NS_PER_S, count = 0;
    for (; clock_now() < end; count++)
        LLVMFuzzerTestOneInput(input, make_input(input));
    printf("%llu inputs\n", (unsigned long long)count);
    return EXIT_SUCCESS;
}
