/* Keys and certificates of every type, and a library context with the provider in it. */
#ifndef TESTS_PROVIDER_FIXTURE_H
#define TESTS_PROVIDER_FIXTURE_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "fake_signer.h"
#include "immure/openssl.h"

enum { RSA_2048, P_256, P_384, P_521, ED_25519, KEY_COUNT };

extern struct fake_key keys[KEY_COUNT];
extern X509 *certificates[KEY_COUNT]; /* in the ordinary library context */
extern OSSL_LIB_CTX *context;

/* The set-up and tear-down of a group of tests. */
int fixture_make(void **state);
int fixture_free(void **state);

/* As a server that lives in `context` has them. */
X509 *certificate_in_context(size_t key);
EVP_PKEY *key_in_context(size_t key);

/* Empties the error queue; whether the reason of any error in it was `text`. */
bool error_queue_has(const char *text);

#endif
