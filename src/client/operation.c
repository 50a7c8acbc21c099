#include "client/operation.h"

#include <string.h>

#include "base/clock.h"
#include "client/listing.h"
#include "client/request.h"
#include "wire/stats.h"

/* The time left in us, as SIGN and DECRYPT send it; 0: no deadline. Only this side keeps a deadline
 * that does not fit into the field. */
static uint32_t time_left(const struct request *request, uint64_t now)
{
    if (request->asked.deadline == UINT64_MAX)
        return 0;
    uint64_t left = (request->asked.deadline - now + NS_PER_US - 1) / NS_PER_US;
    return left <= UINT32_MAX ? (uint32_t)left : 0;
}

static bool put_with_input(struct immure_client *client, const struct request *request,
                           uint64_t now)
{
    const struct immure_request *asked = &request->asked;
    return wire_put_request(&client->output,
                            &(struct wire_request){.type = (enum wire_type)asked->operation,
                                                   .id = request->id,
                                                   .key_id = asked->key_id,
                                                   .scheme = asked->scheme,
                                                   .client_version = asked->client_version,
                                                   .time_left = time_left(request, now),
                                                   .input = asked->input,
                                                   .input_length = asked->input_length});
}

static bool put_list(struct immure_client *client, const struct request *request, uint64_t now)
{
    (void)now;
    return wire_put_list(&client->output, request->id,
                         &(struct wire_list){.first = request->first});
}

static bool put_empty(struct immure_client *client, const struct request *request, uint64_t now)
{
    (void)now;
    return wire_put_plain(&client->output, (enum wire_type)request->asked.operation, request->id,
                          NULL, 0);
}

static enum immure_error take_signed(struct immure_client *client, struct request *request,
                                     const struct wire_frame *frame)
{
    struct wire_signed answer;
    enum immure_error error = wire_get_signed(frame, &answer);
    if (error != IMMURE_OK)
        return error;
    request_answer(client, request,
                   &(struct immure_reply){.error_text = immure_error_text(IMMURE_OK),
                                          .output = answer.signature,
                                          .output_length = answer.signature_length,
                                          .backend = wire_backend_name(answer.backend),
                                          .queue_ns = answer.queue_ns,
                                          .work_ns = answer.sign_ns});
    return IMMURE_OK;
}

static enum immure_error take_decrypted(struct immure_client *client, struct request *request,
                                        const struct wire_frame *frame)
{
    struct wire_decrypted answer;
    enum immure_error error = wire_get_decrypted(frame, &answer);
    if (error != IMMURE_OK)
        return error;
    request_answer(client, request,
                   &(struct immure_reply){.error_text = immure_error_text(IMMURE_OK),
                                          .output = answer.premaster,
                                          .output_length = WIRE_PREMASTER_SIZE,
                                          .backend = wire_backend_name(answer.backend),
                                          .queue_ns = answer.queue_ns,
                                          .work_ns = answer.decrypt_ns});
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
    request_answer(client, request,
                   &(struct immure_reply){.error_text = immure_error_text(IMMURE_OK),
                                          .stats = stats,
                                          .stat_count = count});
    return IMMURE_OK;
}

/* A struct immure_ticket_key consists of bytes only, in the order of the wire. */
static enum immure_error take_ticket_keys(struct immure_client *client, struct request *request,
                                          const struct wire_frame *frame)
{
    struct wire_ticket_keys answer;
    enum immure_error error = wire_get_ticket_keys(frame, &answer);
    if (error != IMMURE_OK)
        return error;
    const struct immure_ticket_keys keys = {
        .current = (const struct immure_ticket_key *)answer.current,
        .previous = (const struct immure_ticket_key *)answer.previous,
        .epoch = answer.epoch,
        .epoch_ns = answer.epoch_seconds * NS_PER_S,
        .time_left_ns = answer.time_left * NS_PER_MS};
    request_answer(
        client, request,
        &(struct immure_reply){.error_text = immure_error_text(IMMURE_OK), .ticket_keys = &keys});
    explicit_bzero((void *)frame->payload, frame->length);
    return IMMURE_OK;
}

static enum immure_error take_pong(struct immure_client *client, struct request *request,
                                   const struct wire_frame *frame)
{
    (void)frame;
    request_end(client, request, IMMURE_OK);
    return IMMURE_OK;
}

static const struct operation operations[] = {
    {IMMURE_SIGN, WIRE_SIGNED, WIRE_MESSAGE_MAX, put_with_input, take_signed},
    {IMMURE_DECRYPT, WIRE_DECRYPTED, WIRE_CIPHERTEXT_MAX, put_with_input, take_decrypted},
    {IMMURE_LIST, WIRE_KEYS, 0, put_list, listing_take},
    {IMMURE_STATS, WIRE_FIGURES, 0, put_empty, take_figures},
    {IMMURE_PING, WIRE_PONG, 0, put_empty, take_pong},
    {IMMURE_TICKET_KEYS, WIRE_TICKET_KEYS, 0, put_empty, take_ticket_keys},
};

const struct operation *operation_find(enum immure_operation operation)
{
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        if (operations[i].operation == operation)
            return &operations[i];
    return NULL;
}
