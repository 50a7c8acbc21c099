/*
 * Messages to sign, under every policy: the first byte is the scheme; of the second one bits 0 and
 * 1 are the curve, bit 2 says all groups of TLS 1.2. What a server may sign is short, each policy
 * allows whatever the narrower one does, and structures of other protocols are not signed.
 */
#include <stdlib.h>
#include <string.h>

#include "keyd/rules/foreign.h"
#include "keyd/rules/policy.h"
#include "target.h"

#define TLS13_LONGEST (64 + 34 + 48)         /* RFC 8446, section 4.4.3 */
#define TLS12_LONGEST (64 + 1 + 2 + 1 + 133) /* RFC 8422, section 5.4, with secp521r1 */
#define SENTINEL_AT 56                       /* RFC 8446, section 4.1.3 */

/* Messages that are signed for TLS 1.2 have the sentinel and match no structure of another
 * protocol. */
static void check_tls12(const bool *allowed, const uint8_t *message, size_t size)
{
    if ((allowed[POLICY_TLS12_SERVER] || allowed[POLICY_TLS_CLIENT]) && message[0] != ' ' &&
        foreign_find(message, size) != NULL)
        abort();
    if (allowed[POLICY_TLS_SERVER] && !allowed[POLICY_TLS13_SERVER] &&
        memcmp(message + SENTINEL_AT, "DOWNGRD\1\3\0", 10) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const curves[] = {NULL, "P-256", "P-384", "P-521"};
    static const char spki[] = "SubjectPublicKeyInfo of policy-check";
    static struct ecdhe ecdhe;
    bool allowed[POLICY_COUNT];
    if (size < 2)
        return 0;
    if (ecdhe.numbers == NULL && !ecdhe_open(&ecdhe))
        abort();
    struct policy_request request = {.every_group = data[1] & 4,
                                     .spki = (const uint8_t *)spki,
                                     .spki_length = sizeof spki - 1,
                                     .curve = curves[data[1] % 4],
                                     .scheme = &wire_schemes[data[0] % wire_scheme_count],
                                     .message = data + 2,
                                     .length = size - 2};
    for (enum policy policy = 0; policy < POLICY_COUNT; policy++) {
        request.policy = policy;
        struct policy_refusal refusal = policy_check(&request, &ecdhe);
        const char *reason = refusal.reason, *warning = policy_warning(policy);
        enum policy found;
        allowed[policy] = reason == NULL;
        if (!policy_find(policy_name(policy), &found) || found != policy ||
            (reason == NULL ? refusal.alarm : reason[0] == '\0') ||
            (warning != NULL && warning[0] == '\0'))
            abort();
    }
    if (policy_find("", &(enum policy){0}))
        abort();
    if ((allowed[POLICY_TLS13_SERVER] && !allowed[POLICY_TLS_SERVER]) ||
        (allowed[POLICY_TLS_SERVER] && !allowed[POLICY_TLS12_SERVER]) ||
        (allowed[POLICY_TLS12_SERVER] && allowed[POLICY_TLS_CLIENT]) ||
        (allowed[POLICY_TLS13_SERVER] && request.length > TLS13_LONGEST) ||
        (allowed[POLICY_TLS12_SERVER] && request.length > TLS12_LONGEST) || !allowed[POLICY_ANY])
        abort();
    check_tls12(allowed, request.message, request.length);
    bool good =
        policy_check_decrypt(data[0] & 1, 256, size, (uint16_t)(data[0] << 8 | data[1])).reason ==
        NULL;
    if (good && (!(data[0] & 1) || size != 256))
        abort();
    return 0;
}
