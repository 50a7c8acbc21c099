#include <stdlib.h>

#include "client/operation.h"
#include "client/request.h"

#define MAX_REQUESTS_DEFAULT 4096
#define MAX_REQUESTS_MOST 65535
#define MAX_BYTES_DEFAULT (16u << 20)

/* The most output that is assembled at a time: more than a socket accepts at once, and enough for
 * the longest frame. */
#define OUTPUT_LIMIT (4 * WIRE_FRAME_MAX)

struct immure_client *immure_client_new(const struct immure_client_options *options)
{
    static const struct immure_client_options defaults;
    if (options == NULL)
        options = &defaults;
    struct immure_client *client = malloc(sizeof *client);
    if (client == NULL)
        return NULL;
    size_t requests = options->max_requests > 0 ? options->max_requests : MAX_REQUESTS_DEFAULT;
    *client = (struct immure_client){
        .max_requests = requests < MAX_REQUESTS_MOST ? requests : MAX_REQUESTS_MOST,
        .max_bytes = options->max_bytes > 0 ? options->max_bytes : MAX_BYTES_DEFAULT,
        .next_deadline = UINT64_MAX,
        .versions = wire_versions,
        .in_flight_limit = WIRE_IN_FLIGHT_FIRST,
        .output = BUFFER_INIT(OUTPUT_LIMIT),
    };
    list_init(&client->unsent);
    list_init(&client->sent);
    list_init(&client->cancels);
    list_init(&client->abandoned);
    wire_decoder_init(&client->decoder, WIRE_SERVER);
    return client;
}

static struct request *first_of(struct list *list)
{
    return list_empty(list) ? NULL : list_entry(list->next, struct request, order);
}

static void free_all(struct immure_client *client, struct list *list)
{
    struct request *request;
    while ((request = first_of(list)) != NULL)
        request_free(client, request);
}

void immure_client_free(struct immure_client *client)
{
    if (client == NULL)
        return;
    client->closing = true;
    immure_client_reset(client);
    struct request *request;
    while ((request = first_of(&client->unsent)) != NULL)
        request_end(client, request, IMMURE_E_CLOSED);
    wire_decoder_release(&client->decoder);
    buffer_release(&client->output);
    free(client->slots);
    free(client);
}

void immure_client_reset(struct immure_client *client)
{
    client->greeted = false;
    client->failed = IMMURE_OK;
    client->in_flight = 0;
    client->in_flight_limit = WIRE_IN_FLIGHT_FIRST;
    buffer_release(&client->output);
    wire_decoder_reset(&client->decoder);
    free_all(client, &client->cancels);
    free_all(client, &client->abandoned);

    list_move_all(&client->sent, &client->unsent);
    list_move_all(&client->unsent, &client->sent);
    list_for_each(node, &client->unsent)
    {
        struct request *request = list_entry(node, struct request, order);
        request->state = REQUEST_UNSENT;
        request_drop_pages(client, request);
    }
}

static bool put_hello(struct immure_client *client)
{
    if (!client->greeted)
        client->greeted = wire_put_hello(&client->output, &client->versions);
    return client->greeted;
}

static bool put_cancels(struct immure_client *client)
{
    struct request *request;
    while ((request = first_of(&client->cancels)) != NULL) {
        if (!wire_put_plain(&client->output, WIRE_CANCEL, request->id, NULL, 0))
            return false;
        list_remove(&request->order);
        list_append(&client->abandoned, &request->order);
    }
    return true;
}

static void put_requests(struct immure_client *client, uint64_t now)
{
    list_for_each(node, &client->unsent)
    {
        struct request *request = list_entry(node, struct request, order);
        if (request->asked.deadline <= now)
            continue; /* immure_client_expire() will end it */
        if (!client_speaks(client, request->asked.operation))
            continue; /* WELCOME decides whether it is sent or ends with an error */
        if (client->in_flight >= client->in_flight_limit ||
            !request->operation->put(client, request, now))
            break;
        request->state = REQUEST_SENT;
        client->in_flight++;
        list_remove(&request->order);
        list_append(&client->sent, &request->order);
    }
}

size_t immure_client_output(struct immure_client *client, const void **data, uint64_t now)
{
    *data = NULL;
    if (client->failed != IMMURE_OK)
        return 0;
    if (put_hello(client) && put_cancels(client))
        put_requests(client, now);
    size_t length = buffer_length(&client->output);
    if (length > 0)
        *data = buffer_bytes(&client->output);
    return length;
}

void immure_client_sent(struct immure_client *client, size_t length)
{
    size_t held = buffer_length(&client->output);
    buffer_consume(&client->output, length < held ? length : held);
}

uint64_t immure_client_next_deadline(const struct immure_client *client)
{
    return client->pending > 0 ? client->next_deadline : UINT64_MAX;
}

/* Moves the requests that are due to `due`, and finds the earliest deadline of the others. */
static void take_due(struct immure_client *client, struct list *from, struct list *due,
                     uint64_t now)
{
    list_for_each(node, from)
    {
        struct request *request = list_entry(node, struct request, order);
        if (request->asked.deadline <= now) {
            list_remove(node);
            list_append(due, node);
        } else if (request->asked.deadline < client->next_deadline) {
            client->next_deadline = request->asked.deadline;
        }
    }
}

void immure_client_expire(struct immure_client *client, uint64_t now)
{
    if (now < client->next_deadline)
        return;
    struct list due;
    list_init(&due);
    client->next_deadline = UINT64_MAX;
    take_due(client, &client->unsent, &due, now);
    take_due(client, &client->sent, &due, now);

    /* A callback may cancel any other of these requests, which takes it out of the list. */
    struct request *request;
    while ((request = first_of(&due)) != NULL) {
        immure_callback *callback = request->asked.callback;
        void *arg = request->asked.arg;
        request_give_up(client, request);
        callback(arg, &(struct immure_reply){.error = IMMURE_E_TIMEOUT,
                                             .error_text = immure_error_text(IMMURE_E_TIMEOUT)});
    }
}
