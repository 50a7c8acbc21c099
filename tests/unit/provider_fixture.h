/* Keys and certificates of every type, and a library context with the provider in it. */
#ifndef TESTS_PROVIDER_FIXTURE_H
#define TESTS_PROVIDER_FIXTURE_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "fake_signer.h"
#include "immure/openssl.h"

enum { RSA_2048, P_256, P_384, P_521, ED_25519, PSS_2048, PSS_SHA256, KEY_COUNT };

extern struct fake_key keys[KEY_COUNT];
extern X509 *certificates[KEY_COUNT]; /* in the ordinary library context */
extern OSSL_LIB_CTX *context;

/* The set-up and tear-down of a group of tests. */
int fixture_make(void **state);
int fixture_free(void **state);

/* The certificate as loaded in `context`. */
X509 *certificate_in_context(size_t key);
EVP_PKEY *key_in_context(size_t key);

/* The text of a key reference, to be freed. */
char *reference_text(const struct fake_key *key, const char *socket);
/* What PEM_read_bio_PrivateKey() makes of a text, in a context with the provider; may be NULL. */
EVP_PKEY *key_from_text(OSSL_LIB_CTX *in, const char *text);
EVP_PKEY *key_from_reference(OSSL_LIB_CTX *in, const struct fake_key *key, const char *socket);
/* A context with the provider loaded with these lines in its section of openssl.cnf. */
OSSL_LIB_CTX *context_with_settings(const char *lines);

/* The same with the module at this path instead of the provider that is built into the test. */
OSSL_LIB_CTX *context_with_module(const char *module, const char *lines);

/* Requests a signature over `length` bytes of `message`. Returns its length, or 0 with the reason
 * on the error queue. */
size_t sign_with(OSSL_LIB_CTX *in, EVP_PKEY *key, const char *digest, const uint8_t *message,
                 size_t length, uint8_t signature[IMMURE_SIGNATURE_MAX]);
/* Signs, and verifies with the public half. */
bool signs_well(OSSL_LIB_CTX *in, EVP_PKEY *key, const struct fake_key *verifier);

/* Empties the error queue; whether the reason of any error in it was `text`. */
bool error_queue_has(const char *text);

#endif
