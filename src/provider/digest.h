/* The digests of TLS signatures, and which of them an RSA-PSS key allows. */
#ifndef PROVIDER_DIGEST_H
#define PROVIDER_DIGEST_H

#include <openssl/types.h>

enum digest { DIGEST_NONE, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512, DIGEST_OTHER };

/* The restrictions of an RSA-PSS key (RFC 4055, section 3.1). */
struct pss_limits {
    enum digest digest; /* for the message and MGF1; DIGEST_NONE: the key is not restricted */
    int salt_least;     /* bytes */
};

/* NULL gives DIGEST_NONE, as for Ed25519; a digest that no scheme uses gives DIGEST_OTHER. */
enum digest digest_of(const char *name);
/* OpenSSL's name of the digest; NULL if there is none. */
const char *digest_name(enum digest digest);

/* The restrictions of this RSA-PSS key. */
struct pss_limits pss_limits_of(const EVP_PKEY *public);

#endif
