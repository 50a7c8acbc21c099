#include <stdlib.h>
#include <string.h>

#include "client/operation.h"

#define NO_SLOT UINT16_MAX
#define SLOT_BITS 16
#define FIRST_SLOTS 64

_Static_assert(IMMURE_MESSAGE_MAX == WIRE_MESSAGE_MAX, "one limit, public and on the wire");
_Static_assert(IMMURE_SIGNATURE_MAX == WIRE_SIGNATURE_MAX, "one limit, public and on the wire");
_Static_assert(IMMURE_CIPHERTEXT_MAX == WIRE_CIPHERTEXT_MAX, "one limit, public and on the wire");
_Static_assert(IMMURE_PREMASTER_SIZE == WIRE_PREMASTER_SIZE, "one size, public and on the wire");
_Static_assert(sizeof(struct immure_ticket_key) == WIRE_TICKET_KEY_SIZE, "one layout of bytes");
_Static_assert(IMMURE_KEY_ID_SIZE == WIRE_KEY_ID_SIZE, "one size, public and on the wire");

static bool slots_grow(struct immure_client *client)
{
    size_t count = client->slot_count > 0 ? 2 * client->slot_count : FIRST_SLOTS;
    if (count > client->max_requests)
        count = client->max_requests;
    struct slot *slots = realloc(client->slots, count * sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = client->slot_count; i < count; i++)
        slots[i] = (struct slot){.next_free = i + 1 < count ? (uint16_t)(i + 1) : NO_SLOT};
    client->free_slot = (uint16_t)client->slot_count;
    client->slots = slots;
    client->slot_count = count;
    return true;
}

struct request *request_find(struct immure_client *client, immure_request_id id)
{
    size_t index = id & NO_SLOT;
    if (index >= client->slot_count)
        return NULL;
    struct request *request = client->slots[index].request;
    return request != NULL && request->id == id ? request : NULL;
}

bool client_speaks(const struct immure_client *client, enum immure_operation operation)
{
    return wire_frame_type_find(operation)->since <= client->decoder.version;
}

/* Copies the request and gives it a slot. NULL: *error says why. */
static struct request *request_new(struct immure_client *client, const struct immure_request *asked,
                                   enum immure_error *error)
{
    *error = client->closing ? IMMURE_E_CLOSED : IMMURE_E_FULL;
    if (client->closing || client->held == client->max_requests ||
        asked->input_length > client->max_bytes - client->bytes)
        return NULL;
    *error = IMMURE_E_MEMORY;
    if (client->held == client->slot_count && !slots_grow(client))
        return NULL;
    struct request *request = malloc(sizeof *request + asked->input_length);
    if (request == NULL)
        return NULL;

    uint16_t index = client->free_slot;
    client->free_slot = client->slots[index].next_free;
    client->slots[index].request = request;
    *request = (struct request){.id = ++client->serial << SLOT_BITS | index,
                                .operation = operation_find(asked->operation),
                                .asked = *asked,
                                .bytes = asked->input_length};
    if (asked->input_length > 0)
        memcpy(request->input, asked->input, asked->input_length);
    request->asked.input = request->input;
    if (asked->deadline == 0)
        request->asked.deadline = UINT64_MAX;
    list_init(&request->pages);
    list_init(&request->order);
    list_append(&client->unsent, &request->order);
    client->held++;
    client->pending++;
    client->bytes += request->bytes;
    if (request->asked.deadline < client->next_deadline)
        client->next_deadline = request->asked.deadline;
    *error = IMMURE_OK;
    return request;
}

void request_free(struct immure_client *client, struct request *request)
{
    listing_restart(client, request);
    uint16_t index = (uint16_t)request->id;
    client->slots[index] = (struct slot){.next_free = client->free_slot};
    client->free_slot = index;
    client->held--;
    client->bytes -= request->bytes;
    if (request->state != REQUEST_ABANDONED)
        client->pending--;
    list_remove(&request->order);
    free(request);
}

void request_give_up(struct immure_client *client, struct request *request)
{
    if (request->state == REQUEST_UNSENT) {
        request_free(client, request);
        return;
    }
    listing_restart(client, request);
    request->state = REQUEST_ABANDONED;
    client->pending--;
    list_remove(&request->order);
    list_append(&client->cancels, &request->order);
}

void request_answer(struct immure_client *client, struct request *request,
                    const struct immure_reply *reply)
{
    immure_callback *callback = request->asked.callback;
    void *arg = request->asked.arg;
    request_free(client, request);
    callback(arg, reply);
}

void request_end(struct immure_client *client, struct request *request, enum immure_error error)
{
    request_answer(client, request,
                   &(struct immure_reply){.error = error, .error_text = immure_error_text(error)});
}

enum immure_error immure_request_submit(struct immure_client *client,
                                        const struct immure_request *request, immure_request_id *id)
{
    const struct operation *operation = operation_find(request->operation);
    if (operation == NULL || request->callback == NULL ||
        request->input_length > operation->input_max ||
        (operation->input_max > 0 && request->input_length == 0))
        return IMMURE_E_ARGUMENT;
    if (client->decoder.greeted && !client_speaks(client, request->operation))
        return IMMURE_E_UNSUPPORTED;
    enum immure_error error;
    struct request *made = request_new(client, request, &error);
    if (made != NULL && id != NULL)
        *id = made->id;
    return error;
}

void immure_request_cancel(struct immure_client *client, immure_request_id id)
{
    struct request *request = request_find(client, id);
    if (request != NULL && request->state != REQUEST_ABANDONED)
        request_give_up(client, request);
}

size_t immure_client_pending(const struct immure_client *client)
{
    return client->pending;
}
