/* The problems of a certificate that do not keep its configuration from being used. */
#ifndef PROXY_STORE_PROBLEM_H
#define PROXY_STORE_PROBLEM_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/store/store.h"

enum chain_problem {
    CHAIN_EXPIRED,
    CHAIN_NOT_YET_VALID,
    CHAIN_MISORDERED,  /* a certificate is not issued by the one that follows it */
    CHAIN_MUST_STAPLE, /* asks for a stapled OCSP response (RFC 7633), and none is served */
    CHAIN_BAD_STAPLE,  /* its OCSP response is not sent */
    CHAIN_NO_KEY,      /* immured holds no key for it: whoever asks for its names is refused */
    CHAIN_PROBLEM_COUNT
};

/* "expired" ... */
extern const char *const chain_problem_names[CHAIN_PROBLEM_COUNT];

/* Whether the certificate has an OCSP response that may be sent now (seconds since 1970). */
bool store_staples(const struct store_certificate *certificate, int64_t now);

/* One bit for each present problem, except CHAIN_NO_KEY. `now`: seconds since 1970. */
unsigned store_problems(const struct store_certificate *certificate, int64_t now);
/* Writes a sentence for the log to `text`. */
void chain_problem_describe(enum chain_problem problem, int64_t not_before, int64_t not_after,
                            char *text, size_t size);

#endif
