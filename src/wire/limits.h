/* Every limit of the protocol, in bytes unless noted; docs/protocol.md has the same table. */
#ifndef WIRE_LIMITS_H
#define WIRE_LIMITS_H

#define WIRE_MAGIC 0x494d4d55u /* "IMMU" */
#define WIRE_VERSION_LOWEST 1  /* the lowest version that this build speaks */
#define WIRE_VERSION 2         /* the highest version that this build speaks */

#define WIRE_FRAME_MAX 65536 /* header and payload */
#define WIRE_HEADER_SIZE 12
#define WIRE_PAYLOAD_MAX (WIRE_FRAME_MAX - WIRE_HEADER_SIZE)

#define WIRE_KEY_ID_SIZE 32
#define WIRE_MESSAGE_MAX 65000  /* to sign; leaves room for the fields before it */
#define WIRE_SIGNATURE_MAX 4627 /* ML-DSA-87 */
#define WIRE_RSA_BITS_MIN 2048  /* of the modulus of a key that immured accepts */
#define WIRE_RSA_BITS_MAX 8192
#define WIRE_CIPHERTEXT_MAX 1024 /* RSA-8192 */
#define WIRE_PREMASTER_SIZE 48   /* of TLS with RSA key exchange (RFC 5246, section 7.4.7.1) */
#define WIRE_TICKET_NAME_SIZE 16
#define WIRE_TICKET_CIPHER_SIZE 32
#define WIRE_TICKET_MAC_SIZE 32
#define WIRE_TICKET_KEY_SIZE                                                                       \
    (WIRE_TICKET_NAME_SIZE + WIRE_TICKET_CIPHER_SIZE + WIRE_TICKET_MAC_SIZE)
#define WIRE_KEY_NAME_MAX 255
#define WIRE_SPKI_MAX 3072  /* ML-DSA-87 is 2614 */
#define WIRE_SCHEMES_MAX 16 /* of one key */
#define WIRE_ERROR_TEXT_MAX 256
#define WIRE_PING_MAX 64
#define WIRE_STATS_MAX 64 /* figures in one STATS reply */

/* The fields before the part of a payload that has no length of its own. */
#define WIRE_REQUEST_FIELDS (WIRE_KEY_ID_SIZE + 2 + 4) /* SIGN, DECRYPT */
#define WIRE_RESULT_FIELDS (1 + 8 + 8)                 /* SIGNED, DECRYPTED */
#define WIRE_KEYS_FIELDS (4 + 2)
#define WIRE_FIGURE_SIZE (2 + 8) /* of one figure in FIGURES */

#define WIRE_IN_FLIGHT_FIRST 64 /* requests that a client may send before it has read WELCOME */
#define WIRE_IN_FLIGHT_MAX 4096 /* requests of one connection that immured has not answered */

#endif
