/* Whether an OCSP response (RFC 6960) may be sent with a certificate. */
#ifndef PROXY_STORE_STAPLE_H
#define PROXY_STORE_STAPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Both are DER. True: the response says that the certificate is good, from *begins to *ends
 * (seconds since 1970). Its signature is the client's business. */
bool staple_read(const uint8_t *response, size_t length, const uint8_t *leaf, size_t leaf_length,
                 int64_t *begins, int64_t *ends);

#endif
