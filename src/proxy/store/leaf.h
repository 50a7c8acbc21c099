/*
 * What a certificate says, without decoding its public key: that costs libcrypto a tenth of a
 * millisecond, and only those who use the key need it. The parser is libcrypto's.
 */
#ifndef PROXY_STORE_LEAF_H
#define PROXY_STORE_LEAF_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

#include "proxy/store/record.h"

#define LEAF_NAMES_MAX ((size_t)1 << 20) /* bytes of all names of one certificate */

struct leaf {
    const uint8_t *der; /* the caller's */
    size_t length;
    size_t key_offset, key_length; /* the SubjectPublicKeyInfo, within `der` */
    enum certificate_kind kind;
    char key_type[32]; /* "P-256", "RSA-2048" ... */
    int64_t not_before, not_after;
    bool must_staple; /* RFC 7633 */
    char *names;      /* each with its zero byte: as in store.h */
    size_t names_length;
    uint32_t name_count;
    struct certificate_data *data;
};

enum leaf_error { LEAF_OK, LEAF_MALFORMED, LEAF_KEY_UNKNOWN, LEAF_OUT_OF_MEMORY };

const char *leaf_error_text(enum leaf_error error);

/* `der` may be followed by other bytes. The result is to be freed in any case. */
enum leaf_error leaf_parse(struct leaf *leaf, const uint8_t *der, size_t length);
void leaf_free(struct leaf *leaf);

/* Whether this certificate can have issued the leaf, as X509_check_issued() decides it. */
bool leaf_issued_by(const struct leaf *leaf, X509 *issuer);

#endif
