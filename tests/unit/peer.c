#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "wire/stats.h"

#define PEER_OUTPUT_MAX (1u << 24)

void peer_init(struct peer *peer, uint16_t in_flight)
{
    *peer = (struct peer){
        .output = BUFFER_INIT(PEER_OUTPUT_MAX), .version = WIRE_VERSION, .in_flight = in_flight};
    peer->requests = calloc(PEER_REQUESTS_MAX, sizeof *peer->requests);
    assert_non_null(peer->requests);
    wire_decoder_init(&peer->decoder, WIRE_CLIENT);
}

static void forget_requests(struct peer *peer)
{
    for (size_t i = 0; i < peer->count; i++)
        free(peer->requests[i].message);
    peer->count = 0;
}

void peer_release(struct peer *peer)
{
    forget_requests(peer);
    free(peer->requests);
    wire_decoder_release(&peer->decoder);
    buffer_release(&peer->output);
}

void peer_reset(struct peer *peer)
{
    forget_requests(peer);
    wire_decoder_reset(&peer->decoder);
    buffer_clear(&peer->output);
}

static void take_input(const struct wire_frame *frame, struct peer_request *request)
{
    struct wire_request got;
    assert_int_equal(wire_get_request(frame, &got), IMMURE_OK);
    memcpy(request->key_id, got.key_id, sizeof request->key_id);
    request->scheme = got.scheme;
    request->client_version = got.client_version;
    request->time_left = got.time_left;
    request->message = malloc(got.input_length);
    assert_non_null(request->message);
    memcpy(request->message, got.input, got.input_length);
    request->message_length = got.input_length;
}

static void take_request(struct peer *peer, const struct wire_frame *frame)
{
    assert_true(peer->count < PEER_REQUESTS_MAX);
    struct peer_request *request = &peer->requests[peer->count++];
    *request = (struct peer_request){.type = frame->type, .id = frame->id};
    if (frame->type == WIRE_SIGN || frame->type == WIRE_DECRYPT)
        take_input(frame, request);
    if (frame->type == WIRE_LIST) {
        struct wire_list list;
        assert_int_equal(wire_get_list(frame, &list), IMMURE_OK);
        request->first = list.first;
    }
}

static void take_frame(struct peer *peer, const struct wire_frame *frame)
{
    if (frame->type != WIRE_HELLO) {
        take_request(peer, frame);
        return;
    }
    struct wire_hello hello;
    assert_int_equal(wire_get_hello(frame, &hello), IMMURE_OK);
    uint16_t version = wire_version_agree(&hello);
    assert_true(version > 0);
    peer->decoder.version = version < peer->version ? version : peer->version;
    peer->hellos++;
    struct wire_welcome welcome = {.version = peer->decoder.version, .in_flight = peer->in_flight};
    if (peer->in_flight > 0)
        assert_true(wire_put_welcome(&peer->output, &welcome));
}

static void take_frames(struct peer *peer)
{
    for (;;) {
        struct wire_frame frame;
        bool more;
        assert_int_equal(wire_decoder_next(&peer->decoder, &frame, &more), IMMURE_OK);
        if (more)
            return;
        take_frame(peer, &frame);
    }
}

void peer_receive(struct peer *peer, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    while (length > 0) {
        size_t size;
        uint8_t *room = wire_decoder_room(&peer->decoder, &size);
        assert_non_null(room);
        size = size < length ? size : length;
        memcpy(room, bytes, size);
        wire_decoder_received(&peer->decoder, size);
        take_frames(peer);
        bytes += size;
        length -= size;
    }
}

void peer_take(struct peer *peer, struct immure_client *client, size_t chunk, uint64_t now)
{
    const void *data;
    size_t length;
    while ((length = immure_client_output(client, &data, now)) > 0) {
        length = length < chunk ? length : chunk;
        peer_receive(peer, data, length);
        immure_client_sent(client, length);
    }
}

enum immure_error peer_give(struct peer *peer, struct immure_client *client, size_t chunk)
{
    enum immure_error error = IMMURE_OK;
    while (error == IMMURE_OK && buffer_length(&peer->output) > 0) {
        size_t length = buffer_length(&peer->output);
        length = length < chunk ? length : chunk;
        error = immure_client_receive(client, buffer_bytes(&peer->output), length);
        buffer_consume(&peer->output, length);
    }
    return error;
}

void peer_say_raw(struct peer *peer, enum wire_type type, uint64_t id, const void *payload,
                  size_t length)
{
    struct writer writer = writer_of(buffer_reserve(&peer->output, WIRE_HEADER_SIZE + length),
                                     WIRE_HEADER_SIZE + length);
    write_u8(&writer, (uint8_t)type);
    write_u8(&writer, 0);
    write_u16(&writer, (uint16_t)length);
    write_u64(&writer, id);
    write_bytes(&writer, payload, length);
    buffer_commit(&peer->output, WIRE_HEADER_SIZE + length);
}

void peer_say_signed(struct peer *peer, uint64_t id, const void *signature, size_t length)
{
    struct wire_signed answer = {.backend = WIRE_BACKEND_TEST,
                                 .queue_ns = 11,
                                 .sign_ns = 22,
                                 .signature = signature,
                                 .signature_length = length};
    assert_true(wire_put_signed(&peer->output, id, &answer));
}

void peer_say_error(struct peer *peer, uint64_t id, enum immure_error error, const char *text)
{
    struct wire_error said = {.error = error, .text = text, .text_length = strlen(text)};
    assert_true(wire_put_error(&peer->output, id, &said));
}
