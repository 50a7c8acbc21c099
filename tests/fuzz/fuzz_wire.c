/*
 * The wire decoder and all payload parsers. The first byte says which end reads, whether a
 * greeting is waited for, which version was agreed on, and how the rest is split.
 */
#include <stdlib.h>
#include <string.h>

#include "target.h"
#include "wire/message.h"
#include "wire/scheme.h"
#include "wire/stats.h"

static void assert_same(const struct buffer *made, const struct wire_frame *frame)
{
    if (buffer_length(made) != WIRE_HEADER_SIZE + frame->length ||
        memcmp(buffer_bytes(made) + WIRE_HEADER_SIZE, frame->payload, frame->length) != 0)
        abort();
}

static bool put_hello(struct buffer *made, const struct wire_frame *frame)
{
    struct wire_hello hello;
    return wire_get_hello(frame, &hello) == IMMURE_OK && wire_put_hello(made, &hello);
}

static bool put_welcome(struct buffer *made, const struct wire_frame *frame)
{
    struct wire_welcome welcome;
    return wire_get_welcome(frame, &welcome) == IMMURE_OK && wire_put_welcome(made, &welcome);
}

static bool put_list(struct buffer *made, const struct wire_frame *frame)
{
    struct wire_list list;
    return wire_get_list(frame, &list) == IMMURE_OK && wire_put_list(made, frame->id, &list);
}

static bool put_request(struct buffer *made, const struct wire_frame *frame)
{
    struct wire_request request;
    if (wire_get_request(frame, &request) != IMMURE_OK)
        return false;
    const struct wire_scheme *scheme = wire_scheme_find(request.scheme);
    if ((scheme == NULL) != (strcmp(immure_scheme_name(request.scheme), "unknown") == 0))
        abort();
    return wire_put_request(made, &request);
}

static bool put_signed(struct buffer *made, const struct wire_frame *frame)
{
    struct wire_signed answer;
    return wire_get_signed(frame, &answer) == IMMURE_OK &&
           wire_backend_name(answer.backend) != NULL && wire_put_signed(made, frame->id, &answer);
}

static bool put_decrypted(struct buffer *made, const struct wire_frame *frame)
{
    struct wire_decrypted answer;
    return wire_get_decrypted(frame, &answer) == IMMURE_OK &&
           wire_put_decrypted(made, frame->id, &answer);
}

static bool put_error(struct buffer *made, const struct wire_frame *frame)
{
    struct wire_error error;
    return wire_get_error(frame, &error) == IMMURE_OK && immure_error_text(error.error) != NULL &&
           wire_put_error(made, frame->id, &error);
}

static bool put_figures(struct buffer *made, const struct wire_frame *frame)
{
    struct wire_figure figures[WIRE_STATS_MAX];
    size_t count;
    if (wire_get_figures(frame, figures, &count) != IMMURE_OK)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct wire_stat *stat = wire_stat_find(figures[i].number);
        if (stat != NULL && stat->number != figures[i].number)
            abort();
    }
    return wire_put_figures(made, frame->id, figures, count);
}

static bool put_keys(struct buffer *made, const struct wire_frame *frame)
{
    static struct wire_key keys[WIRE_PAYLOAD_MAX / WIRE_KEY_ID_SIZE];
    struct wire_keys_reader reader;
    size_t count = 0, put;
    if (wire_keys_begin(frame, &reader) != IMMURE_OK)
        return false;
    while (reader.left > 0)
        if (wire_keys_next(&reader, &keys[count++]) != IMMURE_OK)
            return false;
    uint32_t first = reader.next - (uint32_t)count, total = reader.next > 0 ? UINT32_MAX : 0;
    if (reader.next == UINT32_MAX)
        return false; /* there is no total that would say so */
    return wire_put_keys(made, frame->id, keys, count, first, total, &put) && put == count;
}

static bool put_ticket_keys(struct buffer *made, const struct wire_frame *frame)
{
    struct wire_ticket_keys keys;
    return wire_get_ticket_keys(frame, &keys) == IMMURE_OK &&
           wire_put_ticket_keys(made, frame->id, &keys);
}

static bool put_plain(struct buffer *made, const struct wire_frame *frame)
{
    return wire_put_plain(made, frame->type, frame->id, frame->payload, frame->length);
}

/* What parses is written again: the same bytes, since each frame has one encoding. */
static void parse(const struct wire_frame *frame)
{
    static const struct {
        enum wire_type type;
        bool (*put)(struct buffer *made, const struct wire_frame *frame);
    } types[] = {
        {WIRE_HELLO, put_hello},         {WIRE_WELCOME, put_welcome},
        {WIRE_LIST, put_list},           {WIRE_SIGN, put_request},
        {WIRE_SIGNED, put_signed},       {WIRE_DECRYPT, put_request},
        {WIRE_DECRYPTED, put_decrypted}, {WIRE_ERROR, put_error},
        {WIRE_FIGURES, put_figures},     {WIRE_KEYS, put_keys},
        {WIRE_PING, put_plain},          {WIRE_PONG, put_plain},
        {WIRE_CANCEL, put_plain},        {WIRE_STATS, put_plain},
        {WIRE_TICKETS, put_plain},       {WIRE_TICKET_KEYS, put_ticket_keys},
    };
    struct buffer made = BUFFER_INIT(WIRE_FRAME_MAX), none = BUFFER_INIT(WIRE_HEADER_SIZE - 1);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].type != frame->type)
            continue;
        if (types[i].put(&made, frame))
            assert_same(&made, frame);
        if (types[i].put(&none, frame) || buffer_length(&none) != 0)
            abort();
    }
    buffer_release(&made);
    buffer_release(&none);
}

/* False: the stream has ended. */
static bool take_frames(struct wire_decoder *decoder)
{
    for (;;) {
        struct wire_frame frame;
        bool more;
        if (wire_decoder_next(decoder, &frame, &more) != IMMURE_OK)
            return false;
        if (more) {
            wire_decoder_rest(decoder);
            return true;
        }
        parse(&frame);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_decoder decoder;
    if (size == 0)
        return 0;
    wire_decoder_init(&decoder, data[0] & 1 ? WIRE_CLIENT : WIRE_SERVER);
    decoder.greeted = (data[0] & 2) != 0;
    decoder.version = data[0] & 64 ? WIRE_VERSION_LOWEST : WIRE_VERSION;
    size_t chunk = (size_t)1 << (data[0] >> 2 & 15);
    bool alive = true;
    for (size_t at = 1; at < size && alive; at += chunk) {
        size_t length = size - at < chunk ? size - at : chunk, room_size;
        uint8_t *room = wire_decoder_room(&decoder, &room_size);
        if (room == NULL)
            break;
        length = length < room_size ? length : room_size;
        memcpy(room, data + at, length);
        wire_decoder_received(&decoder, length);
        alive = take_frames(&decoder);
    }
    wire_decoder_release(&decoder);
    return 0;
}
