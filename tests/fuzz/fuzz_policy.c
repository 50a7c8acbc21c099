/*
 * Messages to sign, under every policy: the first two bytes are the scheme and the curve. What a
 * server may sign is short, TLS 1.3 alone allows nothing more, and a client's context is not a
 * server's.
 */
#include <stdlib.h>
#include <string.h>

#include "keyd/policy.h"
#include "target.h"

#define TLS13_LONGEST (64 + 34 + 48)         /* RFC 8446, section 4.4.3 */
#define TLS12_LONGEST (64 + 1 + 2 + 1 + 133) /* RFC 8422, section 5.4, with secp521r1 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const groups[] = {NULL, "P-256", "P-384", "P-521"};
    bool allowed[POLICY_ANY + 1];
    if (size < 2)
        return 0;
    const struct wire_scheme *scheme = &wire_schemes[data[0] % wire_scheme_count];
    const char *group = groups[data[1] % 4];
    for (enum policy policy = POLICY_TLS_SERVER; policy <= POLICY_ANY; policy++) {
        const char *reason = policy_check(policy, scheme, group, data + 2, size - 2);
        enum policy found;
        allowed[policy] = reason == NULL;
        if (!policy_find(policy_name(policy), &found) || found != policy ||
            (reason != NULL && reason[0] == '\0'))
            abort();
    }
    if (policy_find("", &(enum policy){0}))
        abort();
    if ((allowed[POLICY_TLS13_SERVER] && !allowed[POLICY_TLS_SERVER]) ||
        (allowed[POLICY_TLS13_SERVER] && allowed[POLICY_TLS_CLIENT]) ||
        (allowed[POLICY_TLS13_SERVER] && size - 2 > TLS13_LONGEST) ||
        (allowed[POLICY_TLS_SERVER] && size - 2 > TLS12_LONGEST) || !allowed[POLICY_ANY])
        abort();
    return 0;
}
