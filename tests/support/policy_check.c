/*
 * The policy alone, for a test that asks a million times. Standard input, in network byte order:
 *
 *     policy (1)  tls12-groups (1: common, all)  SignatureScheme (2)
 *     curve (1: none, P-256, P-384, P-521)  length (2)  message
 *
 * and so on. The key's SubjectPublicKeyInfo is the text below. Standard output: a byte for each: 0
 * refused, 1 signed, 2 refused with an alarm.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "keyd/rules/policy.h"

#define HEADER_SIZE 7

enum { REFUSED, SIGNED, ALARM };

static const char *const curves[] = {NULL, "P-256", "P-384", "P-521"};
static const char spki[] = "SubjectPublicKeyInfo of policy-check";

int main(void)
{
    static uint8_t header[HEADER_SIZE], message[UINT16_MAX];
    struct ecdhe ecdhe;
    if (!ecdhe_open(&ecdhe))
        return EXIT_FAILURE;
    while (fread(header, 1, sizeof header, stdin) == sizeof header) {
        struct reader reader = reader_of(header, sizeof header);
        struct policy_request request = {.policy = (enum policy)read_u8(&reader),
                                         .every_group = read_u8(&reader),
                                         .spki = (const uint8_t *)spki,
                                         .spki_length = sizeof spki - 1,
                                         .scheme = wire_scheme_find(read_u16(&reader)),
                                         .message = message};
        size_t curve = read_u8(&reader);
        request.length = read_u16(&reader);
        if (request.policy >= POLICY_COUNT || request.scheme == NULL ||
            curve >= sizeof curves / sizeof curves[0] ||
            fread(message, 1, request.length, stdin) != request.length)
            return EXIT_FAILURE;
        request.curve = curves[curve];
        struct policy_refusal refusal = policy_check(&request, &ecdhe);
        putchar(refusal.reason == NULL ? SIGNED : refusal.alarm ? ALARM : REFUSED);
    }
    ecdhe_close(&ecdhe);
    return ferror(stdin) || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
