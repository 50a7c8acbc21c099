/*
 * Runs a fuzz target without a fuzzer, in the ordinary test run: all inputs in the named files and
 * folders, and then, for a second, mutations of them from a fixed seed. With --replay only the
 * former.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "target.h"

#define INPUT_MAX (128 << 10)
#define MADE_MAX 4096
#define KEPT_MAX 1024

static struct input {
    uint8_t *bytes;
    size_t length;
} kept[KEPT_MAX];
static size_t kept_count;

/* xorshift64*: the same inputs everywhere. (G. Marsaglia, S. Vigna) */
static uint64_t random_next(void)
{
    static uint64_t state = 0x494d4d555245;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(2685821657736338717);
}

static size_t random_below(size_t bound)
{
    return (size_t)(random_next() % bound);
}

/* Mostly small bytes, so that types, lengths and ids are often valid. */
static size_t make_input(uint8_t *input)
{
    size_t length = random_below(MADE_MAX);
    for (size_t i = 0; i < length; i++) {
        uint64_t random = random_next();
        input[i] = (uint8_t)(random % 8 == 0 ? random >> 8 : random >> 8 & 15);
    }
    return length;
}

/* A stored input with some bytes changed, duplicated or removed, or with the end of another. */
static size_t change_input(uint8_t *input)
{
    const struct input *from = &kept[random_below(kept_count)];
    size_t length = from->length;
    memcpy(input, from->bytes, length);
    for (size_t changes = 1 + random_below(4); changes > 0 && length > 0; changes--) {
        size_t at = random_below(length), count = 1 + random_below(8);
        count = count < length - at ? count : length - at;
        switch (random_below(5)) {
        case 0:
            input[at] = (uint8_t)random_next();
            break;
        case 1:
            input[at] ^= (uint8_t)(1u << random_below(8));
            break;
        case 2:
            memmove(input + at, input + at + count, length - at - count);
            length -= count;
            break;
        case 3:
            if (length + count <= INPUT_MAX) {
                memmove(input + at + count, input + at, length - at);
                length += count;
            }
            break;
        default:
            from = &kept[random_below(kept_count)];
            if (at < from->length) {
                memcpy(input + at, from->bytes + at, from->length - at);
                length = from->length;
            }
        }
    }
    return length;
}

static bool run_file(const char *path)
{
    uint8_t *bytes = malloc(INPUT_MAX);
    FILE *file = fopen(path, "rb");
    if (file == NULL || bytes == NULL) {
        perror(path);
        free(bytes);
        return false;
    }
    size_t length = fread(bytes, 1, INPUT_MAX, file);
    fclose(file);
    uint8_t *exact = realloc(bytes, length > 0 ? length : 1); /* a sanitizer detects overruns */
    bytes = exact != NULL ? exact : bytes;
    LLVMFuzzerTestOneInput(bytes, length);
    if (kept_count < KEPT_MAX)
        kept[kept_count++] = (struct input){.bytes = bytes, .length = length};
    else
        free(bytes);
    return true;
}

static bool run_path(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return run_file(path);
    bool good = true;
    for (struct dirent *entry; good && (entry = readdir(folder)) != NULL;) {
        char inside[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name);
        good = run_file(inside);
    }
    closedir(folder);
    return good;
}

static void run_made(void)
{
    static uint8_t input[INPUT_MAX];
    uint64_t end = clock_now() + NS_PER_S, count = 0;
    for (; clock_now() < end; count++) {
        bool change = kept_count > 0 && random_below(4) > 0;
        LLVMFuzzerTestOneInput(input, change ? change_input(input) : make_input(input));
    }
    printf("%llu inputs that were made\n", (unsigned long long)count);
}

int main(int argc, char **argv)
{
    bool replay = argc > 1 && strcmp(argv[1], "--replay") == 0, good = true;
    for (int i = replay ? 2 : 1; i < argc && good; i++)
        good = run_path(argv[i]);
    printf("%zu inputs from files\n", kept_count);
    if (good && !replay)
        run_made();
    while (kept_count > 0)
        free(kept[--kept_count].bytes);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
