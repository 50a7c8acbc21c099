/*
 * A client whose peer and whose application are both fuzzed: each input byte is a step. A step may
 * request, cancel, send, expire, reset, or receive the bytes that follow, with ids that often
 * exist.
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
    immure_request ids[IDS];
    size_t asked;
    size_t answered; /* callbacks, of those asked with them */
    uint64_t now;
};

static struct fuzz fuzz;

static immure_request *next_id(void)
{
    return &fuzz.ids[fuzz.asked++ % IDS];
}

static void ask(void);

/* A callback that may itself request and cancel. */
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

static void signed_back(void *arg, const struct immure_signature *signature)
{
    (void)arg;
    if (signature->error == IMMURE_OK && signature->signature_length > IMMURE_SIGNATURE_MAX)
        abort();
    react();
}

static void listed_back(void *arg, const struct immure_key *key, enum immure_error error)
{
    (void)arg;
    if (key != NULL && error != IMMURE_OK)
        abort();
    react();
}

static void stats_back(void *arg, const struct immure_stat *stats, size_t count,
                       enum immure_error error)
{
    (void)arg;
    if (error != IMMURE_OK && (count != 0 || stats != NULL))
        abort();
    react();
}

static void pinged_back(void *arg, enum immure_error error)
{
    (void)arg;
    (void)error;
    react();
}

static void ask(void)
{
    unsigned what = read_u8(&fuzz.input);
    struct immure_sign_request request = {.message = (const uint8_t *)"message",
                                          .message_length = 1 + what % 7};
    if (what & 0x80)
        request.deadline = fuzz.now + what % 16;
    switch (what % 8) {
    case 0:
        immure_list(fuzz.client, listed_back, NULL, next_id());
        break;
    case 1:
        immure_stats(fuzz.client, stats_back, NULL, next_id());
        break;
    case 2:
        immure_ping(fuzz.client, pinged_back, NULL, next_id());
        break;
    default:
        immure_sign(fuzz.client, &request, signed_back, NULL, next_id());
    }
}

static void send_output(void)
{
    const void *data;
    size_t length = immure_client_output(fuzz.client, &data, fuzz.now);
    size_t taken = read_u8(&fuzz.input) * (size_t)4;
    immure_client_sent(fuzz.client, taken < length ? taken : length);
}

/* A frame with a payload from the input. */
static void receive_frame(enum wire_type type, uint64_t id)
{
    struct buffer frame = BUFFER_INIT(2 * WIRE_FRAME_MAX);
    size_t length = read_u8(&fuzz.input);
    const uint8_t *payload = read_bytes(&fuzz.input, length);
    if (payload != NULL && wire_put_plain(&frame, type, id, payload, length))
        immure_client_receive(fuzz.client, buffer_bytes(&frame), buffer_length(&frame), fuzz.now);
    buffer_release(&frame);
}

static void receive_welcome(void)
{
    struct buffer frame = BUFFER_INIT(WIRE_FRAME_MAX);
    struct wire_welcome welcome = {.version = WIRE_VERSION, .in_flight = read_u8(&fuzz.input)};
    if (wire_put_welcome(&frame, &welcome))
        immure_client_receive(fuzz.client, buffer_bytes(&frame), buffer_length(&frame), fuzz.now);
    buffer_release(&frame);
}

static void receive_reply(void)
{
    static const enum wire_type types[] = {WIRE_SIGNED, WIRE_KEYS, WIRE_FIGURES, WIRE_PONG,
                                           WIRE_ERROR};
    unsigned which = read_u8(&fuzz.input);
    receive_frame(types[which % (sizeof types / sizeof types[0])], fuzz.ids[which / 16]);
}

static void receive_anything(void)
{
    size_t length = read_u8(&fuzz.input);
    const uint8_t *bytes = read_bytes(&fuzz.input, length);
    if (bytes != NULL)
        immure_client_receive(fuzz.client, bytes, length, fuzz.now);
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
