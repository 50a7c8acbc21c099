/*
 * A client whose peer and whose application are both fuzzed: each input byte is a step. It may ask,
 * cancel, send, expire, reset, or receive the bytes that follow, with ids that often exist.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "immure/client.h"
#include "target.h"
#include "wire/message.h"

#define IDS 16

struct fuzz {
    struct immure_client *client;
    struct reader input;
    immure_request_id ids[IDS];
    size_t asked;
    size_t answered; /* callbacks, of those asked with them */
    uint64_t now;
};

static struct fuzz fuzz;

static immure_request_id *next_id(void)
{
    return &fuzz.ids[fuzz.asked++ % IDS];
}

static void ask(void);

/* A callback that may ask and cancel in its turn. */
static void react(void)
{
    fuzz.answered++;
    switch (read_u8(&fuzz.input) % 4) {
    case 0:
        ask();
        break;
    case 1:
        immure_request_cancel(fuzz.client, fuzz.ids[read_u8(&fuzz.input) % IDS]);
        break;
    default:
        break;
    }
}

static void answered(void *arg, const struct immure_reply *reply)
{
    (void)arg;
    if (reply->output_length > IMMURE_SIGNATURE_MAX)
        abort();
    if (reply->error != IMMURE_OK &&
        (reply->output != NULL || reply->key != NULL || reply->stats != NULL ||
         reply->stat_count != 0 || reply->ticket_keys != NULL))
        abort();
    if (reply->error_text == NULL)
        abort();
    react();
}

static void ask(void)
{
    static const enum immure_operation operations[] = {
        IMMURE_LIST, IMMURE_STATS, IMMURE_PING, IMMURE_SIGN,
        IMMURE_SIGN, IMMURE_SIGN,  IMMURE_SIGN, IMMURE_TICKET_KEYS,
    };
    unsigned what = read_u8(&fuzz.input);
    struct immure_request request = {.operation = operations[what % 8], .callback = answered};
    if (request.operation == IMMURE_SIGN) {
        request.input = (const uint8_t *)"message";
        request.input_length = 1 + what % 7;
    }
    if (what & 0x80)
        request.deadline = fuzz.now + what % 16;
    immure_request_submit(fuzz.client, &request, next_id());
}

static void send_output(void)
{
    const void *data;
    size_t length = immure_client_output(fuzz.client, &data, fuzz.now);
    size_t taken = read_u8(&fuzz.input) * (size_t)4;
    immure_client_sent(fuzz.client, taken < length ? taken : length);
}

/* A frame with a payload from the input, whose length its type may not have. */
static void receive_frame(enum wire_type type, uint64_t id)
{
    uint8_t frame[WIRE_HEADER_SIZE + UINT8_MAX];
    uint8_t length = read_u8(&fuzz.input);
    const uint8_t *payload = read_bytes(&fuzz.input, length);
    struct writer writer = writer_of(frame, sizeof frame);
    if (payload == NULL)
        return;
    write_u8(&writer, (uint8_t)type);
    write_u8(&writer, 0);
    write_u16(&writer, length);
    write_u64(&writer, id);
    write_bytes(&writer, payload, length);
    immure_client_receive(fuzz.client, frame, (size_t)(writer.next - frame));
}

static void receive_welcome(void)
{
    struct buffer frame = BUFFER_INIT(WIRE_FRAME_MAX);
    uint8_t in_flight = read_u8(&fuzz.input);
    struct wire_welcome welcome = {.version = in_flight & 0x80 ? WIRE_VERSION_LOWEST : WIRE_VERSION,
                                   .in_flight = in_flight};
    if (wire_put_welcome(&frame, &welcome))
        immure_client_receive(fuzz.client, buffer_bytes(&frame), buffer_length(&frame));
    buffer_release(&frame);
}

static void receive_reply(void)
{
    static const enum wire_type types[] = {WIRE_SIGNED, WIRE_KEYS,  WIRE_FIGURES,
                                           WIRE_PONG,   WIRE_ERROR, WIRE_TICKET_KEYS};
    unsigned which = read_u8(&fuzz.input);
    receive_frame(types[which % (sizeof types / sizeof types[0])], fuzz.ids[which / 16]);
}

static void receive_anything(void)
{
    size_t length = read_u8(&fuzz.input);
    const uint8_t *bytes = read_bytes(&fuzz.input, length);
    if (bytes != NULL)
        immure_client_receive(fuzz.client, bytes, length);
}

static void step(void)
{
    switch (read_u8(&fuzz.input) % 16) {
    case 0:
        receive_anything();
        break;
    case 1:
        receive_welcome();
        break;
    case 2:
    case 3:
    case 4:
        receive_reply();
        break;
    case 5:
        immure_request_cancel(fuzz.client, fuzz.ids[read_u8(&fuzz.input) % IDS]);
        break;
    case 6:
        immure_client_reset(fuzz.client);
        break;
    case 7:
        fuzz.now += read_u8(&fuzz.input) % 16;
        immure_client_expire(fuzz.client, fuzz.now);
        break;
    case 8:
    case 9:
    case 10:
        send_output();
        break;
    default:
        ask();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct immure_client_options options = {.max_requests = 24, .max_bytes = 512};
    fuzz = (struct fuzz){.input = reader_of(data, size), .now = 1};
    fuzz.client = immure_client_new(&options);
    if (fuzz.client == NULL)
        return 0;
    while (!fuzz.input.failed && fuzz.input.left > 0) {
        step();
        if (immure_client_pending(fuzz.client) > options.max_requests)
            abort();
    }
    immure_client_free(fuzz.client);
    return 0;
}
