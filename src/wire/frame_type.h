/*
 * The frame types, one row each: everything that reads, writes or checks a frame uses its row.
 * docs/protocol.md has the same table in words.
 */
#ifndef WIRE_FRAME_TYPE_H
#define WIRE_FRAME_TYPE_H

#include <stddef.h>
#include <stdint.h>

#include "wire/limits.h"

enum wire_end { WIRE_CLIENT, WIRE_SERVER };

/*
 * Name, number, sender, the protocol version since which it exists, and the least and the greatest
 * size of its payload in bytes. A reply has the number of its request with bit 0x80 set, except for
 * ERROR, which may answer any of them. CANCEL has no reply: the request that it names ends with its
 * ordinary reply or with IMMURE_E_CANCELLED.
 */
#define WIRE_FRAME_TYPES(ROW)                                                                      \
    ROW(HELLO, 0x01, CLIENT, 1, 8, 8)                                                              \
    ROW(LIST, 0x02, CLIENT, 1, 4, 4)                                                               \
    ROW(SIGN, 0x03, CLIENT, 1, WIRE_REQUEST_FIELDS + 1, WIRE_REQUEST_FIELDS + WIRE_MESSAGE_MAX)    \
    ROW(CANCEL, 0x04, CLIENT, 1, 0, 0)                                                             \
    ROW(STATS, 0x05, CLIENT, 1, 0, 0)                                                              \
    ROW(PING, 0x06, CLIENT, 1, 0, WIRE_PING_MAX)                                                   \
    ROW(DECRYPT, 0x07, CLIENT, 1, WIRE_REQUEST_FIELDS + 1,                                         \
        WIRE_REQUEST_FIELDS + WIRE_CIPHERTEXT_MAX)                                                 \
    ROW(TICKETS, 0x08, CLIENT, 2, 0, 0)                                                            \
    ROW(WELCOME, 0x81, SERVER, 1, 12, 12)                                                          \
    ROW(KEYS, 0x82, SERVER, 1, WIRE_KEYS_FIELDS, WIRE_PAYLOAD_MAX)                                 \
    ROW(SIGNED, 0x83, SERVER, 1, WIRE_RESULT_FIELDS + 1, WIRE_RESULT_FIELDS + WIRE_SIGNATURE_MAX)  \
    ROW(FIGURES, 0x85, SERVER, 1, 2, 2 + WIRE_STATS_MAX * WIRE_FIGURE_SIZE)                        \
    ROW(PONG, 0x86, SERVER, 1, 0, WIRE_PING_MAX)                                                   \
    ROW(DECRYPTED, 0x87, SERVER, 1, WIRE_RESULT_FIELDS + WIRE_PREMASTER_SIZE,                      \
        WIRE_RESULT_FIELDS + WIRE_PREMASTER_SIZE)                                                  \
    ROW(TICKET_KEYS, 0x88, SERVER, 2, 16 + 2 * WIRE_TICKET_KEY_SIZE,                               \
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
