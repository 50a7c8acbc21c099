#include <string.h>

#include "client/operation.h"
#include "client/request.h"
#include "client/text.h"

/* Codes from here on are those of libimmure itself, which no peer may send. */
#define FIRST_OWN_ERROR IMMURE_E_MEMORY

_Static_assert(WIRE_ERROR_TEXT_MAX < 1024, "an error text is copied on the stack");

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
    request_answer(client, request,
                   &(struct immure_reply){
                       .error = said.error,
                       .error_text = text[0] != '\0' ? text : immure_error_text(said.error)});
    return IMMURE_OK;
}

/* Ends the requests that this immured does not know: sent, they would end the stream for all. */
static void end_unknown(struct immure_client *client)
{
    struct list unknown, *node;
    list_init(&unknown);
    list_for_each(at, &client->unsent)
    {
        if (client_speaks(client, list_entry(at, struct request, order)->asked.operation))
            continue;
        list_remove(at);
        list_append(&unknown, at);
    }
    /* A callback may cancel any other of these requests, which takes it out of the list. */
    while ((node = list_take(&unknown)) != NULL)
        request_end(client, list_entry(node, struct request, order), IMMURE_E_UNSUPPORTED);
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

/* The peer says why it ends the stream. */
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
        return IMMURE_OK; /* the request was given up, and nobody waits for this reply */
    bool refused = frame->type == WIRE_ERROR;
    if ((!refused && frame->type != request->operation->reply) || request->state == REQUEST_UNSENT)
        return IMMURE_E_UNEXPECTED;
    client->in_flight--;
    if (request->state != REQUEST_ABANDONED)
        return refused ? take_error(client, request, frame)
                       : request->operation->take(client, request, frame);
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
                                        size_t length)
{
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
