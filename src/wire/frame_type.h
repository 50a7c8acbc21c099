/*
 * The frame types, one row each: everything that reads, writes or checks a frame uses its row.
 * docs/protocol.md has the same table in words.
 */
#ifndef WIRE_FRAME_TYPE_H
#define WIRE_FRAME_TYPE_H

#include <stddef.h>
#include <stdint.h>

#include "immure/client.h"
#include "wire/limits.h"

enum wire_end { WIRE_CLIENT, WIRE_SERVER };

#define WIRE_REPLY 0x80

/*
 * Name, number, sender, the protocol version since which it exists, and the least and the greatest
 * size of its payload in bytes. A reply has the number of its request with WIRE_REPLY set, except
 * for ERROR, which may answer any of them. CANCEL has no reply: the request that it names ends with
 * its ordinary reply or with IMMURE_E_CANCELLED. What an application can ask for has its number in
 * immure/client.h.
 */
#define WIRE_FRAME_TYPES(ROW)                                                                      \
    ROW(HELLO, 0x01, CLIENT, 1, 8, 8)                                                              \
    ROW(LIST, IMMURE_LIST, CLIENT, 1, 4, 4)                                                        \
    ROW(SIGN, IMMURE_SIGN, CLIENT, 1, WIRE_REQUEST_FIELDS + 1,                                     \
        WIRE_REQUEST_FIELDS + WIRE_MESSAGE_MAX)                                                    \
    ROW(CANCEL, 0x04, CLIENT, 1, 0, 0)                                                             \
    ROW(STATS, IMMURE_STATS, CLIENT, 1, 0, 0)                                                      \
    ROW(PING, IMMURE_PING, CLIENT, 1, 0, WIRE_PING_MAX)                                            \
    ROW(DECRYPT, IMMURE_DECRYPT, CLIENT, 1, WIRE_REQUEST_FIELDS + 1,                               \
        WIRE_REQUEST_FIELDS + WIRE_CIPHERTEXT_MAX)                                                 \
    ROW(TICKETS, IMMURE_TICKET_KEYS, CLIENT, 2, 0, 0)                                              \
    ROW(WELCOME, WIRE_REPLY | 0x01, SERVER, 1, 12, 12)                                             \
    ROW(KEYS, WIRE_REPLY | IMMURE_LIST, SERVER, 1, WIRE_KEYS_FIELDS, WIRE_PAYLOAD_MAX)             \
    ROW(SIGNED, WIRE_REPLY | IMMURE_SIGN, SERVER, 1, WIRE_RESULT_FIELDS + 1,                       \
        WIRE_RESULT_FIELDS + WIRE_SIGNATURE_MAX)                                                   \
    ROW(FIGURES, WIRE_REPLY | IMMURE_STATS, SERVER, 1, 2, 2 + WIRE_STATS_MAX * WIRE_FIGURE_SIZE)   \
    ROW(PONG, WIRE_REPLY | IMMURE_PING, SERVER, 1, 0, WIRE_PING_MAX)                               \
    ROW(DECRYPTED, WIRE_REPLY | IMMURE_DECRYPT, SERVER, 1,                                         \
        WIRE_RESULT_FIELDS + WIRE_PREMASTER_SIZE, WIRE_RESULT_FIELDS + WIRE_PREMASTER_SIZE)        \
    ROW(TICKET_KEYS, WIRE_REPLY | IMMURE_TICKET_KEYS, SERVER, 2, 16 + 2 * WIRE_TICKET_KEY_SIZE,    \
        16 + 2 * WIRE_TICKET_KEY_SIZE)                                                             \
    ROW(ERROR, 0xff, SERVER, 1, 2, 2 + WIRE_ERROR_TEXT_MAX)

/* WIRE_HELLO, WIRE_LIST and so on. */
enum wire_type {
#define ENUMERATOR(name, number, ...) WIRE_##name = (number),
    WIRE_FRAME_TYPES(ENUMERATOR)
#undef ENUMERATOR
};

struct wire_frame_type {
    enum wire_type type;
    const char *name;
    enum wire_end sender;
    uint16_t since;
    size_t shortest, longest;
};

extern const struct wire_frame_type wire_frame_types[];
extern const size_t wire_frame_type_count;

/* NULL if unknown. */
const struct wire_frame_type *wire_frame_type_find(unsigned type);

#endif
