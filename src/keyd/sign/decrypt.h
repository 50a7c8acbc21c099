/*
 * RSA key exchange (RFC 5246, section 7.4.7.1), for keys whose configuration allows it. What comes
 * out is a premaster secret in any case, so that immured never says, and no time tells, whether a
 * ciphertext was good (D. Bleichenbacher, CRYPTO '98): the rejection is implicit.
 *
 * libcrypto removes the padding and checks the version, in constant time, and in place of what is
 * wrong gives random bytes, others each time. Each ciphertext is therefore decrypted twice: only
 * what is the same both times was a premaster secret, and was computed without a fault. In place of
 * all else stands a function of the private key, the ciphertext and the version, HMAC-SHA384 under
 * SHA-256 of the private exponent, that begins with the version as a premaster secret does. So the
 * same question has the same answer, today and after a restart, whether its padding is good or bad.
 */
#ifndef KEYD_SIGN_DECRYPT_H
#define KEYD_SIGN_DECRYPT_H

#include "keyd/sign/job.h"

/* A job of JOB_DECRYPT: its result becomes the premaster secret. */
void decrypt_run(struct job *job);

#endif
