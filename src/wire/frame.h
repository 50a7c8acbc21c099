/*
 * Frames: a 12-byte header, then a payload.
 *
 *     type (1)  flags (1)  payload length (2)  request id (8)
 *
 * The decoder is sans-I/O and takes any split of the stream. What it hands out has a known type, no
 * unknown flags, a length that its type can have, and a place in the agreed version of the
 * protocol; the payload's own fields are parsed in message.h.
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "immure/error.h"
#include "wire/frame_type.h"

struct wire_frame {
    enum wire_type type;
    uint64_t id;
    const uint8_t *payload; /* within the decoder's buffer: valid until the next call on it */
    size_t length;
};

/* What it has handed out it wipes: there are secrets among the replies. */
struct wire_decoder {
    enum wire_end reads; /* whose frames these are */
    bool greeted;        /* the first frame was HELLO or WELCOME */
    uint16_t version;    /* that both ends agreed on, for its owner to set; until then the lowest,
                            which has all that may be sent before */
    struct buffer input;
    size_t taken; /* bytes of the frame handed out last, consumed by the next call */
};

void wire_decoder_init(struct wire_decoder *decoder, enum wire_end reads);
/* Forgets all that was received: a new stream begins. */
void wire_decoder_reset(struct wire_decoder *decoder);
void wire_decoder_release(struct wire_decoder *decoder);
/* Gives its memory back until more is received, if nothing is left in it. */
void wire_decoder_rest(struct wire_decoder *decoder);

/* Room for at least WIRE_HEADER_SIZE more bytes, so that the caller receives in place; *size says
 * how many. NULL: out of memory. Take all frames out first. */
uint8_t *wire_decoder_room(struct wire_decoder *decoder, size_t *size);
void wire_decoder_received(struct wire_decoder *decoder, size_t length);

/*
 * The next frame, if one is complete: IMMURE_OK and *more false. IMMURE_OK and *more true: not yet.
 * Any error is for good; the stream is to be ended.
 */
enum immure_error wire_decoder_next(struct wire_decoder *decoder, struct wire_frame *frame,
                                    bool *more);

/*
 * Begins a frame of exactly `length` payload bytes: returns where they are to be written. NULL if
 * its type cannot have that length, the buffer's limit would be passed or memory is short.
 */
uint8_t *wire_frame_begin(struct buffer *output, enum wire_type type, uint64_t id, size_t length);

#endif
