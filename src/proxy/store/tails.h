/*
 * What follows the certificate in its file. Most files end alike, with the same few intermediates,
 * which are parsed once.
 */
#ifndef PROXY_STORE_TAILS_H
#define PROXY_STORE_TAILS_H

#include <openssl/x509.h>

#include "proxy/store/array.h"
#include "proxy/store/builder.h"
#include "proxy/store/slots.h"

struct tail {
    char *text;
    size_t length;
    struct array numbers;          /* uint32_t: of the chain certificates in the store */
    X509 *issuer;                  /* the first certificate; NULL: there is none */
    bool misordered;               /* one is not issued by the one that follows */
    int64_t not_before, not_after; /* of all of them */
};

struct tails {
    struct array known; /* struct tail */
    struct slots slots;
};

#define TAILS_INIT ((struct tails){.known = ARRAY_INIT(struct tail)})

/* NULL: it is not a sequence of PEM certificates, and libcrypto's error queue says why. The result
 * lives until the next call. */
const struct tail *tails_take(struct tails *tails, struct store_builder *builder, const char *text,
                              size_t length);
void tails_free(struct tails *tails);

#endif
