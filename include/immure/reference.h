/*
 * Key references: small files in place of private key files, which say which immured has the key.
 *
 *     -----BEGIN IMMURE KEY REFERENCE-----
 *     base64 of the DER of
 *         SEQUENCE {
 *             version               INTEGER,       1
 *             socket                UTF8String,    immured's unix socket: an absolute path, or
 *                                                  @name in the abstract namespace
 *             keyId                 OCTET STRING,  SHA-256 of the next field
 *             subjectPublicKeyInfo  SubjectPublicKeyInfo
 *         }
 *     -----END IMMURE KEY REFERENCE-----
 *
 * They contain nothing secret. The functions do no I/O, allocate nothing and keep no pointer. Any
 * thread.
 *
 * Source: RFC 7468 for the text, X.690 for DER. Lengths that are not minimal, trailing bytes and
 * unknown versions are rejected, so that a key reference has only one encoding. Without libcrypto,
 * these functions cannot check that the key id is the hash of the SubjectPublicKeyInfo, and of the
 * latter they check nothing but its length.
 */
#ifndef IMMURE_REFERENCE_H
#define IMMURE_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#include "immure/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where an immured that is installed as a service listens. */
#define IMMURE_SOCKET_DEFAULT "/run/immure/immured.sock"

#define IMMURE_REFERENCE_VERSION 1
#define IMMURE_REFERENCE_LABEL "IMMURE KEY REFERENCE"

/* In bytes, without the terminating zero: what fits into a sockaddr_un. */
#define IMMURE_SOCKET_PATH_MAX 107
/* In bytes: the longest SubjectPublicKeyInfo of a key that immured accepts. */
#define IMMURE_SPKI_MAX 3072

/* The longest DER of a key reference: four headers and their contents. */
#define IMMURE_REFERENCE_DER_MAX                                                                   \
    (4 + 3 + 2 + IMMURE_SOCKET_PATH_MAX + 2 + IMMURE_KEY_ID_SIZE + IMMURE_SPKI_MAX)
/* Characters of base64 per line, as in the files that OpenSSL writes. */
#define IMMURE_REFERENCE_LINE 64
#define IMMURE_REFERENCE_BASE64_MAX ((IMMURE_REFERENCE_DER_MAX + 2) / 3 * 4)
/* The size of the longest text, with its terminating zero. */
#define IMMURE_REFERENCE_PEM_SIZE                                                                  \
    (sizeof "-----BEGIN " IMMURE_REFERENCE_LABEL "-----\n"                                         \
            "-----END " IMMURE_REFERENCE_LABEL "-----\n" +                                         \
     IMMURE_REFERENCE_BASE64_MAX + IMMURE_REFERENCE_BASE64_MAX / IMMURE_REFERENCE_LINE + 1)

enum immure_reference_error {
    IMMURE_REFERENCE_OK,
    IMMURE_REFERENCE_E_ABSENT,  /* there is no such block in the text */
    IMMURE_REFERENCE_E_BASE64,  /* the text is truncated, or not base64 */
    IMMURE_REFERENCE_E_DER,     /* not the SEQUENCE above, or an incomplete one, or more than one */
    IMMURE_REFERENCE_E_VERSION, /* a later version */
    IMMURE_REFERENCE_E_SOCKET,  /* not an absolute path or @name of 2 to IMMURE_SOCKET_PATH_MAX
                                   bytes, none of them a control character */
    IMMURE_REFERENCE_E_KEY_ID,  /* not IMMURE_KEY_ID_SIZE bytes */
    IMMURE_REFERENCE_E_SPKI     /* not one SEQUENCE of at most IMMURE_SPKI_MAX bytes */
};

struct immure_reference {
    char socket[IMMURE_SOCKET_PATH_MAX + 1]; /* for immure_blocking_unix() */
    uint8_t key_id[IMMURE_KEY_ID_SIZE];
    const uint8_t *spki; /* the caller's; after parsing, it points into the DER */
    size_t spki_length;
};

/* One line in English without a full stop; never NULL. */
const char *immure_reference_error_text(enum immure_reference_error error);

/* With an error, *reference is not to be used. */
enum immure_reference_error immure_reference_parse_der(struct immure_reference *reference,
                                                       const uint8_t *der, size_t length);
/*
 * Parses the first key reference in a text, which may contain other things, such as certificates.
 * `der` is room that the caller provides; reference->spki will point into it.
 */
enum immure_reference_error immure_reference_parse_pem(struct immure_reference *reference,
                                                       const char *text, size_t length,
                                                       uint8_t der[IMMURE_REFERENCE_DER_MAX]);

/* Write what the two functions above accept; any other reference is an error. */
enum immure_reference_error immure_reference_write_der(const struct immure_reference *reference,
                                                       uint8_t der[IMMURE_REFERENCE_DER_MAX],
                                                       size_t *length);
enum immure_reference_error immure_reference_write_pem(const struct immure_reference *reference,
                                                       char pem[IMMURE_REFERENCE_PEM_SIZE]);

#ifdef __cplusplus
}
#endif

#endif
