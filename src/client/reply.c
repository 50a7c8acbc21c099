#include <string.h>

#include "base/clock.h"
#include "client/core.h"
#include "client/text.h"
#include "wire/message.h"
#include "wire/stats.h"

/* Codes from here on are libimmure's own and no peer may say them. */
#define FIRST_OWN_ERROR IMMURE_E_MEMORY

_Static_assert(WIRE_ERROR_TEXT_MAX < 1024, "an error text is copied on the stack");

/* What a reply of each type does to its request; an error is one of the stream. */
typedef enum immure_error take_reply(struct immure_client *client, struct request *request,
                                     const struct wire_frame *frame);

static enum immure_error take_signed(struct immure_client *client, struct request *request,
                                     const struct wire_frame *frame)
{
    struct wire_signed answer;
    enum immure_error error = wire_get_signed(frame, &answer);
    if (error != IMMURE_OK)
        return error;
    immure_sign_callback *callback = request->callback.sign;
    void *arg = request->arg;
    request_free(client, request);
    callback(arg, &(struct immure_signature){.error = IMMURE_OK,
                                             .error_text = immure_error_text(IMMURE_OK),
                                             .signature = answer.signature,
                                             .signature_length = answer.signature_length,
                                             .backend = wire_backend_name(answer.backend),
                                             .queue_ns = answer.queue_ns,
                                             .sign_ns = answer.sign_ns});
    return IMMURE_OK;
}

static enum immure_error take_decrypted(struct immure_client *client, struct request *request,
                                        const struct wire_frame *frame)
{
    struct wire_decrypted answer;
    enum immure_error error = wire_get_decrypted(frame, &answer);
    if (error != IMMURE_OK)
        return error;
    immure_decrypt_callback *callback = request->callback.decrypt;
    void *arg = request->arg;
    request_free(client, request);
    callback(arg, &(struct immure_decrypted){.error = IMMURE_OK,
                                             .error_text = immure_error_text(IMMURE_OK),
                                             .premaster = answer.premaster,
                                             .backend = wire_backend_name(answer.backend),
                                             .queue_ns = answer.queue_ns,
                                             .decrypt_ns = answer.decrypt_ns});
    return IMMURE_OK;
}

static enum immure_error take_figures(struct immure_client *client, struct request *request,
                                      const struct wire_frame *frame)
{
    struct wire_figure figures[WIRE_STATS_MAX];
    struct immure_stat stats[WIRE_STATS_MAX];
    size_t count;
    enum immure_error error = wire_get_figures(frame, figures, &count);
    if (error != IMMURE_OK)
        return error;
    for (size_t i = 0; i < count; i++) {
        const struct wire_stat *known = wire_stat_find(figures[i].number);
        stats[i] = (struct immure_stat){.value = figures[i].value};
        if (known != NULL) {
            stats[i].name = known->name;
            stats[i].help = known->help;
            stats[i].counter = known->counter;
        }
    }
    immure_stats_callback *callback = request->callback.stats;
    void *arg = request->arg;
    request_free(client, request);
    callback(arg, stats, count, IMMURE_OK);
    return IMMURE_OK;
}

/* A struct immure_ticket_key has nothing but bytes, in the order of the wire. */
static enum immure_error take_ticket_keys(struct immure_client *client, struct request *request,
                                          const struct wire_frame *frame)
{
    struct wire_ticket_keys answer;
    enum immure_error error = wire_get_ticket_keys(frame, &answer);
    if (error != IMMURE_OK)
        return error;
    immure_ticket_keys_callback *callback = request->callback.ticket_keys;
    void *arg = request->arg;
    request_free(client, request);
    callback(arg, &(struct immure_ticket_keys){
                      .error = IMMURE_OK,
                      .error_text = immure_error_text(IMMURE_OK),
                      .current = (const struct immure_ticket_key *)answer.current,
                      .previous = (const struct immure_ticket_key *)answer.previous,
                      .epoch = answer.epoch,
                      .epoch_ns = answer.epoch_seconds * NS_PER_S,
                      .time_left_ns = answer.time_left * NS_PER_MS});
    explicit_bzero((void *)frame->payload, frame->length);
    return IMMURE_OK;
}

static enum immure_error take_pong(struct immure_client *client, struct request *request,
                                   const struct wire_frame *frame)
{
    (void)frame;
    request_end(client, request, IMMURE_OK, NULL);
    return IMMURE_OK;
}

static enum immure_error take_error(struct immure_client *client, struct request *request,
                                    const struct wire_frame *frame)
{
    struct wire_error said;
    enum immure_error error = wire_get_error(frame, &said);
    if (error != IMMURE_OK)
        return error;
    if (said.error >= FIRST_OWN_ERROR)
        return IMMURE_E_UNEXPECTED;
    char text[WIRE_ERROR_TEXT_MAX + 1];
    text_copy(text, sizeof text, said.text, said.text_length);
    request_end(client, request, said.error,
                text[0] != '\0' ? text : immure_error_text(said.error));
    return IMMURE_OK;
}

static const struct {
    enum wire_type reply;
    enum wire_type request;
    take_reply *take;
} replies[] = {
    {WIRE_SIGNED, WIRE_SIGN, take_signed}, {WIRE_DECRYPTED, WIRE_DECRYPT, take_decrypted},
    {WIRE_KEYS, WIRE_LIST, listing_take},  {WIRE_FIGURES, WIRE_STATS, take_figures},
    {WIRE_PONG, WIRE_PING, take_pong},     {WIRE_TICKET_KEYS, WIRE_TICKETS, take_ticket_keys},
};

static take_reply *reply_of(const struct request *request, const struct wire_frame *frame)
{
    if (frame->type == WIRE_ERROR)
        return take_error;
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++)
        if (replies[i].reply == frame->type)
            return replies[i].request == request->type ? replies[i].take : NULL;
    return NULL;
}

/* Requests that this immured does not know would end the stream, and all others with it. */
static void end_unknown(struct immure_client *client)
{
    struct list unknown, *node;
    list_init(&unknown);
    list_for_each(at, &client->unsent)
    {
        if (client_speaks(client, list_entry(at, struct request, order)->type))
            continue;
        list_remove(at);
        list_append(&unknown, at);
    }
    /* A callback may cancel any other of them: that takes it out of the list. */
    while ((node = list_take(&unknown)) != NULL) {
        struct request *request = list_entry(node, struct request, order);
        request_end(client, request, IMMURE_E_UNSUPPORTED, immure_error_text(IMMURE_E_UNSUPPORTED));
    }
}

static enum immure_error take_welcome(struct immure_client *client, const struct wire_frame *frame)
{
    struct wire_welcome welcome;
    enum immure_error error = wire_get_welcome(frame, &welcome);
    if (error != IMMURE_OK)
        return error;
    if (welcome.version < client->versions.lowest || welcome.version > client->versions.highest)
        return IMMURE_E_VERSION;
    if (welcome.in_flight == 0)
        return IMMURE_E_UNEXPECTED;
    client->in_flight_limit = welcome.in_flight;
    client->decoder.version = welcome.version;
    end_unknown(client);
    return IMMURE_OK;
}

/* The peer says why it ends the connection. */
static enum immure_error take_stream_error(const struct wire_frame *frame)
{
    struct wire_error said;
    enum immure_error error = wire_get_error(frame, &said);
    if (error != IMMURE_OK)
        return error;
    return said.error < FIRST_OWN_ERROR ? said.error : IMMURE_E_UNEXPECTED;
}

static enum immure_error take_frame(struct immure_client *client, const struct wire_frame *frame)
{
    if (frame->type == WIRE_WELCOME)
        return take_welcome(client, frame);
    if (frame->id == 0)
        return frame->type == WIRE_ERROR ? take_stream_error(frame) : IMMURE_E_UNEXPECTED;
    struct request *request = request_find(client, frame->id);
    if (request == NULL)
        return IMMURE_OK; /* from before; nobody waits for it */
    take_reply *take = reply_of(request, frame);
    if (take == NULL || request->state == REQUEST_UNSENT)
        return IMMURE_E_UNEXPECTED;
    client->in_flight--;
    if (request->state != REQUEST_ABANDONED)
        return take(client, request, frame);
    request_free(client, request);
    return IMMURE_OK;
}

static enum immure_error take_frames(struct immure_client *client)
{
    for (;;) {
        struct wire_frame frame;
        bool more;
        enum immure_error error = wire_decoder_next(&client->decoder, &frame, &more);
        if (error != IMMURE_OK || more)
            return error;
        error = take_frame(client, &frame);
        if (error != IMMURE_OK)
            return error;
    }
}

enum immure_error immure_client_receive(struct immure_client *client, const void *data,
                                        size_t length, uint64_t now)
{
    (void)now;
    const uint8_t *rest = data;
    while (length > 0 && client->failed == IMMURE_OK) {
        size_t size;
        uint8_t *room = wire_decoder_room(&client->decoder, &size);
        if (room == NULL) {
            client->failed = IMMURE_E_MEMORY;
            break;
        }
        if (size > length)
            size = length;
        memcpy(room, rest, size);
        wire_decoder_received(&client->decoder, size);
        rest += size;
        length -= size;
        client->failed = take_frames(client);
    }
    return client->failed;
}

bool client_between_frames(const struct immure_client *client)
{
    return buffer_length(&client->decoder.input) == 0;
}
