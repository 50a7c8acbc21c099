#include "wire/frame.h"

#include "base/bytes.h"

/* Two frames: while one is taken apart the next may already be arriving. */
#define INPUT_LIMIT (2 * WIRE_FRAME_MAX)
#define INPUT_ROOM 4096

void wire_decoder_init(struct wire_decoder *decoder, enum wire_end reads)
{
    *decoder = (struct wire_decoder){
        .reads = reads, .version = WIRE_VERSION_LOWEST, .input = BUFFER_INIT_SECRET(INPUT_LIMIT)};
}

void wire_decoder_reset(struct wire_decoder *decoder)
{
    buffer_clear(&decoder->input);
    decoder->greeted = false;
    decoder->version = WIRE_VERSION_LOWEST;
    decoder->taken = 0;
}

void wire_decoder_release(struct wire_decoder *decoder)
{
    wire_decoder_reset(decoder);
    buffer_release(&decoder->input);
}

void wire_decoder_rest(struct wire_decoder *decoder)
{
    buffer_consume(&decoder->input, decoder->taken);
    decoder->taken = 0;
    if (buffer_length(&decoder->input) == 0)
        buffer_release(&decoder->input);
}

uint8_t *wire_decoder_room(struct wire_decoder *decoder, size_t *size)
{
    buffer_consume(&decoder->input, decoder->taken);
    decoder->taken = 0;
    uint8_t *room = buffer_reserve(&decoder->input, INPUT_ROOM);
    *size = room != NULL ? decoder->input.capacity - decoder->input.end : 0;
    return room;
}

void wire_decoder_received(struct wire_decoder *decoder, size_t length)
{
    buffer_commit(&decoder->input, length);
}

/* Bad magic is told apart from other faults: it means that something else was connected. */
static enum immure_error check_greeting(struct wire_decoder *decoder,
                                        const struct wire_frame *frame)
{
    enum wire_type greeting = decoder->reads == WIRE_CLIENT ? WIRE_HELLO : WIRE_WELCOME;
    if (decoder->greeted)
        return frame->type == greeting ? IMMURE_E_FRAME_TYPE : IMMURE_OK;
    if (frame->type == WIRE_ERROR && decoder->reads == WIRE_SERVER)
        return IMMURE_OK;
    struct reader reader = reader_of(frame->payload, frame->length);
    if (frame->type != greeting || read_u32(&reader) != WIRE_MAGIC)
        return IMMURE_E_MAGIC;
    decoder->greeted = true;
    return IMMURE_OK;
}

enum immure_error wire_decoder_next(struct wire_decoder *decoder, struct wire_frame *frame,
                                    bool *more)
{
    buffer_consume(&decoder->input, decoder->taken);
    decoder->taken = 0;
    *more = true;
    if (buffer_length(&decoder->input) < WIRE_HEADER_SIZE)
        return IMMURE_OK;

    struct reader reader = reader_of(buffer_bytes(&decoder->input), WIRE_HEADER_SIZE);
    unsigned type = read_u8(&reader);
    unsigned flags = read_u8(&reader);
    size_t length = read_u16(&reader);
    uint64_t id = read_u64(&reader);
    const struct wire_frame_type *row = wire_frame_type_find(type);
    if (row == NULL || row->sender != decoder->reads || flags != 0)
        return decoder->greeted ? IMMURE_E_FRAME_TYPE : IMMURE_E_MAGIC;
    if (row->since > decoder->version)
        return decoder->greeted ? IMMURE_E_FRAME_VERSION : IMMURE_E_MAGIC;
    if (length < row->shortest || length > row->longest)
        return IMMURE_E_FRAME_SIZE;
    if (buffer_length(&decoder->input) < WIRE_HEADER_SIZE + length)
        return IMMURE_OK;

    *frame = (struct wire_frame){.type = row->type,
                                 .id = id,
                                 .payload = buffer_bytes(&decoder->input) + WIRE_HEADER_SIZE,
                                 .length = length};
    decoder->taken = WIRE_HEADER_SIZE + length;
    *more = false;
    return check_greeting(decoder, frame);
}

uint8_t *wire_frame_begin(struct buffer *output, enum wire_type type, uint64_t id, size_t length)
{
    const struct wire_frame_type *row = wire_frame_type_find(type);
    if (row == NULL || length < row->shortest || length > row->longest)
        return NULL;
    uint8_t *room = buffer_reserve(output, WIRE_HEADER_SIZE + length);
    if (room == NULL)
        return NULL;
    struct writer writer = writer_of(room, WIRE_HEADER_SIZE);
    write_u8(&writer, (uint8_t)type);
    write_u8(&writer, 0);
    write_u16(&writer, (uint16_t)length);
    write_u64(&writer, id);
    buffer_commit(output, WIRE_HEADER_SIZE + length);
    return room + WIRE_HEADER_SIZE;
}
