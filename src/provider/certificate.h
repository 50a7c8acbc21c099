/*
 * Certificates whose public keys are keys of this provider. Such a key serves libssl as the private
 * key, too, so a certificate is decoded once and not three times.
 *
 * libcrypto gives a certificate its key while it reads it, and looks for a decoder among all those
 * of the library context, which takes ten times as long as all the rest. So these certificates are
 * read in a library context of their own, which has few decoders: those in this file.
 */
#ifndef PROVIDER_CERTIFICATE_H
#define PROVIDER_CERTIFICATE_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

/* A library context for certificate_read(), and for nothing else. NULL: out of memory. It is freed
 * by immure_openssl_context_free(), after all certificates. */
OSSL_LIB_CTX *certificate_context(void);
/* NULL: the bytes do not begin with a certificate whose key immured can have, or memory is short;
 * libcrypto's error queue says why. */
X509 *certificate_read(OSSL_LIB_CTX *context, const uint8_t *der, size_t length);

#endif
