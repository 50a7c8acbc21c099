/*
 * The wire decoder and all payload parsers. The first byte says which end reads, whether a
 * greeting is waited for, and how the rest is split.
 */
#include <string.h>

#include "target.h"
#include "wire/message.h"

static void parse(const struct wire_frame *frame)
{
    union {
        struct wire_hello hello;
        struct wire_welcome welcome;
        struct wire_list list;
        struct wire_sign sign;
        struct wire_signed answer;
        struct wire_decrypt decrypt;
        struct wire_decrypted decrypted;
        struct wire_error error;
        struct wire_key key;
        struct wire_figure figures[WIRE_STATS_MAX];
    } got;
    struct wire_keys_reader keys;
    size_t count;
    switch (frame->type) {
    case WIRE_HELLO:
        wire_get_hello(frame, &got.hello);
        break;
    case WIRE_WELCOME:
        wire_get_welcome(frame, &got.welcome);
        break;
    case WIRE_LIST:
        wire_get_list(frame, &got.list);
        break;
    case WIRE_SIGN:
        wire_get_sign(frame, &got.sign);
        break;
    case WIRE_SIGNED:
        wire_get_signed(frame, &got.answer);
        break;
    case WIRE_DECRYPT:
        wire_get_decrypt(frame, &got.decrypt);
        break;
    case WIRE_DECRYPTED:
        wire_get_decrypted(frame, &got.decrypted);
        break;
    case WIRE_ERROR:
        wire_get_error(frame, &got.error);
        break;
    case WIRE_FIGURES:
        wire_get_figures(frame, got.figures, &count);
        break;
    case WIRE_KEYS:
        if (wire_keys_begin(frame, &keys) == IMMURE_OK)
            while (keys.left > 0 && wire_keys_next(&keys, &got.key) == IMMURE_OK)
                ;
        break;
    default:
        break;
    }
}

/* False: the stream has ended. */
static bool take_frames(struct wire_decoder *decoder)
{
    for (;;) {
        struct wire_frame frame;
        bool more;
        if (wire_decoder_next(decoder, &frame, &more) != IMMURE_OK)
            return false;
        if (more)
            return true;
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
