/*
 * Key references: a small file in place of a private key file, that says which immured has the key.
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
 * It holds nothing secret. Nothing here does I/O, allocates, or keeps what it was given. Any
 * thread.
 *
 * Source: RFC 7468 for the text, X.690 for DER. Lengths that are not minimal, bytes behind the end
 * and unknown versions are refused, so a key reference has one encoding only. What the core, being
 * without libcrypto, does not look at: whether the key id is the hash of the SubjectPublicKeyInfo,
 * and what is inside of that but its own length.
 */
#ifndef IMMURE_REFERENCE_H
#define IMMURE_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#include "immure/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where an immured listens that was installed as a service. */
#define IMMURE_SOCKET_DEFAULT "/run/immure/immured.sock"

#define IMMURE_REFERENCE_VERSION 1
#define IMMURE_REFERENCE_LABEL "IMMURE KEY REFERENCE"

/* Bytes, without the terminating zero: what fits into a sockaddr_un. */
#define IMMURE_SOCKET_PATH_MAX 107
/* Bytes: the longest SubjectPublicKeyInfo of a key that immured takes. */
#define IMMURE_SPKI_MAX 3072

/* The longest DER of a key reference: four headers, and what is in them. */
#define IMMURE_REFERENCE_DER_MAX                                                                   \
    (4 + 3 + 2 + IMMURE_SOCKET_PATH_MAX + 2 + IMMURE_KEY_ID_SIZE + IMMURE_SPKI_MAX)
/* Characters of base64 in a line, as OpenSSL writes them. */
#define IMMURE_REFERENCE_LINE 64
#define IMMURE_REFERENCE_BASE64_MAX ((IMMURE_REFERENCE_DER_MAX + 2) / 3 * 4)
/* Room for the longest text, with its terminating zero. */
#define IMMURE_REFERENCE_PEM_SIZE                                                                  \
    (sizeof "-----BEGIN " IMMURE_REFERENCE_LABEL "-----\n"                                         \
            "-----END " IMMURE_REFERENCE_LABEL "-----\n" +                                         \
     IMMURE_REFERENCE_BASE64_MAX + IMMURE_REFERENCE_BASE64_MAX / IMMURE_REFERENCE_LINE + 1)

enum immure_reference_error {
    IMMURE_REFERENCE_OK,
    IMMURE_REFERENCE_E_ABSENT,  /* no such block in the text */
    IMMURE_REFERENCE_E_BASE64,  /* the text is cut off, or not base64 */
    IMMURE_REFERENCE_E_DER,     /* not the SEQUENCE above, or not all of it, or more than it */
    IMMURE_REFERENCE_E_VERSION, /* a version from the future */
    IMMURE_REFERENCE_E_SOCKET,  /* not an absolute path or @name of 2 to IMMURE_SOCKET_PATH_MAX
                                   bytes, none of them a control character */
    IMMURE_REFERENCE_E_KEY_ID,  /* not IMMURE_KEY_ID_SIZE bytes */
    IMMURE_REFERENCE_E_SPKI     /* not one SEQUENCE of at most IMMURE_SPKI_MAX bytes */
};

struct immure_reference {
    char socket[IMMURE_SOCKET_PATH_MAX + 1]; /* as immure_blocking_unix() takes it */
    uint8_t key_id[IMMURE_KEY_ID_SIZE];
    const uint8_t *spki; /* the caller's; after parsing it leads into the DER */
    size_t spki_length;
};

/* One line in English without a full stop; never NULL. */
const char *immure_reference_error_text(enum immure_reference_error error);

/* On an error *reference says nothing. */
enum immure_reference_error immure_reference_parse_der(struct immure_reference *reference,
                                                       const uint8_t *der, size_t length);
/*
 * The first key reference in a text, which may hold other things around it, certificates for
 * instance. `der` is the caller's room, which reference->spki will lead into.
 */
enum immure_reference_error immure_reference_parse_pem(struct immure_reference *reference,
                                                       const char *text, size_t length,
                                                       uint8_t der[IMMURE_REFERENCE_DER_MAX]);

/* What the two above take; a reference that they would not take is an error here, too. */
enum immure_reference_error immure_reference_write_der(const struct immure_reference *reference,
                                                       uint8_t der[IMMURE_REFERENCE_DER_MAX],
                                                       size_t *length);
enum immure_reference_error immure_reference_write_pem(const struct immure_reference *reference,
                                                       char pem[IMMURE_REFERENCE_PEM_SIZE]);

#ifdef __cplusplus
}
#endif

#endif
