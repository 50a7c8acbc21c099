/* The problems of a certificate that do not keep its configuration from being used. */
#ifndef PROXY_WORKER_ROUTE_CHAIN_CHECK_H
#define PROXY_WORKER_ROUTE_CHAIN_CHECK_H

#include <openssl/x509.h>

enum chain_problem {
    CHAIN_EXPIRED,
    CHAIN_NOT_YET_VALID,
    CHAIN_MISORDERED,  /* a certificate is not issued by the one that follows it */
    CHAIN_MUST_STAPLE, /* asks for a stapled OCSP response (RFC 7633), and none is served */
    CHAIN_NO_KEY,      /* immured holds no key for it: whoever asks for its names is refused */
    CHAIN_PROBLEM_COUNT
};

/* "expired" ... */
extern const char *const chain_problem_names[CHAIN_PROBLEM_COUNT];

/* Returns one bit for each present problem, except CHAIN_NO_KEY. `chain`: what follows the leaf. */
unsigned chain_check(X509 *leaf, STACK_OF(X509) * chain);
/* Writes a sentence for the log to `text`. */
void chain_problem_describe(enum chain_problem problem, X509 *leaf, char *text, size_t size);

#endif
