#include "client/request.h"

#include <stdlib.h>
#include <string.h>

#define NO_SLOT UINT16_MAX
#define SLOT_BITS 16
#define FIRST_SLOTS 64

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

struct request *request_new(struct immure_client *client, const struct operation *operation,
                            const struct immure_request *asked, enum immure_error *error)
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
                                .operation = operation,
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

void request_drop_pages(struct immure_client *client, struct request *request)
{
    struct list *node;
    while ((node = list_take(&request->pages)) != NULL) {
        struct page *page = list_entry(node, struct page, order);
        request->bytes -= page->length;
        client->bytes -= page->length;
        free(page);
    }
    request->first = 0;
}

void request_free(struct immure_client *client, struct request *request)
{
    request_drop_pages(client, request);
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
    request_drop_pages(client, request);
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
