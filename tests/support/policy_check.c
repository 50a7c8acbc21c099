/*
 * The policy alone, for a test that asks a million times. Standard input, in network byte order:
 *
 *     policy (1)  SignatureScheme (2)  curve (1: none, P-256, P-384, P-521)  length (2)  message
 *
 * and so on. Standard output: a byte for each, 1 if immured would sign it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "keyd/policy.h"

#define HEADER_SIZE 6

static const char *const groups[] = {NULL, "P-256", "P-384", "P-521"};

int main(void)
{
    static uint8_t header[HEADER_SIZE], message[UINT16_MAX];
    while (fread(header, 1, sizeof header, stdin) == sizeof header) {
        struct reader reader = reader_of(header, sizeof header);
        enum policy policy = (enum policy)read_u8(&reader);
        const struct wire_scheme *scheme = wire_scheme_find(read_u16(&reader));
        size_t group = read_u8(&reader), length = read_u16(&reader);
        if (policy > POLICY_ANY || scheme == NULL || group >= sizeof groups / sizeof groups[0] ||
            fread(message, 1, length, stdin) != length)
            return EXIT_FAILURE;
        putchar(policy_check(policy, scheme, groups[group], message, length) == NULL);
    }
    return ferror(stdin) || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
