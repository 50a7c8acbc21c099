/*
 * RSA key exchange (RFC 5246, section 7.4.7.1), for keys whose configuration allows it. The padding
 * is removed here, by libcrypto and in constant time; what comes out is a premaster secret in any
 * case, a random one if there was none. So immured never says, and no time tells, whether a
 * ciphertext was good (D. Bleichenbacher, CRYPTO '98).
 */
#ifndef KEYD_DECRYPT_H
#define KEYD_DECRYPT_H

#include "keyd/job.h"

/* A job of JOB_DECRYPT: its signature becomes the premaster secret. */
void decrypt_run(struct job *job);

#endif
