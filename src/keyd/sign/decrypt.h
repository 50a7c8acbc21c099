/*
 * RSA key exchange (RFC 5246, section 7.4.7.1), for keys whose configuration allows it. The result
 * is a premaster secret in any case, so that neither the answer nor its timing says whether a
 * ciphertext was good (D. Bleichenbacher, CRYPTO '98): the rejection is implicit.
 *
 * libcrypto removes the padding and checks the version, in constant time, and returns random bytes
 * in place of a bad secret, different ones each time. Each ciphertext is therefore decrypted twice:
 * only a result that is the same both times was a premaster secret, and was computed without a
 * fault. In all other cases the result is a function of the private key, the ciphertext and the
 * version: HMAC-SHA384 under the SHA-256 of the private exponent, beginning with the version as a
 * premaster secret does. So the same request has the same answer, even after a restart, whether its
 * padding is good or bad.
 */
#ifndef KEYD_SIGN_DECRYPT_H
#define KEYD_SIGN_DECRYPT_H

#include "keyd/sign/job.h"

/* Sets the result of a JOB_DECRYPT to the premaster secret. */
void decrypt_run(struct job *job);

#endif
