/*
 * Frames: a 12-byte header, then a payload.
 *
 *     type (1)  flags (1)  payload length (2)  request id (8)
 *
 * The decoder is sans-I/O and takes any split of the stream. A frame that it returns has a known
 * type, no unknown flags, a length that its type can have, and a place in the agreed version of the
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

/* It erases the frames that it has returned, because some replies contain secrets. */
struct wire_decoder {
    enum wire_end reads; /* whose frames these are */
    bool greeted;        /* the first frame was HELLO or WELCOME */
    uint16_t version;    /* the owner sets the agreed one; until then it is the lowest, which has
                            every frame that may be sent before WELCOME */
    struct buffer input;
    size_t taken; /* bytes of the frame that was returned last; the next call consumes them */
};

void wire_decoder_init(struct wire_decoder *decoder, enum wire_end reads);
/* Forgets everything that was received, because a new stream begins. */
void wire_decoder_reset(struct wire_decoder *decoder);
void wire_decoder_release(struct wire_decoder *decoder);
/* Releases its memory until more is received, unless a part of a frame is left in it. */
void wire_decoder_rest(struct wire_decoder *decoder);

/* Returns room for the caller to receive into; *size is at least WIRE_HEADER_SIZE. NULL: out of
 * memory. All complete frames must have been taken first. */
uint8_t *wire_decoder_room(struct wire_decoder *decoder, size_t *size);
void wire_decoder_received(struct wire_decoder *decoder, size_t length);

/*
 * Takes the next frame. IMMURE_OK and *more false: *frame is it. IMMURE_OK and *more true: it is
 * not complete yet. Any error is final, and the stream must be ended.
 */
enum immure_error wire_decoder_next(struct wire_decoder *decoder, struct wire_frame *frame,
                                    bool *more);

/*
 * Begins a frame with exactly `length` bytes of payload, and returns where to write them. NULL: the
 * type cannot have this length, the limit of the buffer would be exceeded, or out of memory.
 */
uint8_t *wire_frame_begin(struct buffer *output, enum wire_type type, uint64_t id, size_t length);

#endif
