#include <stdlib.h>
#include <string.h>

#include "client/core.h"

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

struct request *request_find(struct immure_client *client, immure_request id)
{
    size_t index = id & NO_SLOT;
    if (index >= client->slot_count)
        return NULL;
    struct request *request = client->slots[index].request;
    return request != NULL && request->id == id ? request : NULL;
}

bool client_speaks(const struct immure_client *client, enum wire_type type)
{
    return wire_frame_type_find(type)->since <= client->decoder.version;
}

/* A request of `type` with room for its message; *error says why it is NULL. */
static struct request *request_new(struct immure_client *client, enum wire_type type,
                                   size_t message_length, enum immure_error *error)
{
    *error = client->closing ? IMMURE_E_CLOSED : IMMURE_E_FULL;
    if (client->closing || client->held == client->max_requests ||
        message_length > client->max_bytes - client->bytes)
        return NULL;
    *error = IMMURE_E_UNSUPPORTED;
    if (client->decoder.greeted && !client_speaks(client, type))
        return NULL;
    *error = IMMURE_E_MEMORY;
    if (client->held == client->slot_count && !slots_grow(client))
        return NULL;
    struct request *request = malloc(sizeof *request + message_length);
    if (request == NULL)
        return NULL;

    uint16_t index = client->free_slot;
    client->free_slot = client->slots[index].next_free;
    client->slots[index].request = request;
    *request = (struct request){.id = ++client->serial << SLOT_BITS | index,
                                .type = type,
                                .deadline = UINT64_MAX,
                                .bytes = message_length,
                                .message_length = message_length};
    list_init(&request->pages);
    list_init(&request->order);
    list_append(&client->unsent, &request->order);
    client->held++;
    client->pending++;
    client->bytes += message_length;
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

void request_call_back(enum wire_type type, union request_callback callback, void *arg,
                       enum immure_error error, const char *text)
{
    switch (type) {
    case WIRE_SIGN:
        callback.sign(arg, &(struct immure_signature){.error = error, .error_text = text});
        break;
    case WIRE_DECRYPT:
        callback.decrypt(arg, &(struct immure_decrypted){.error = error, .error_text = text});
        break;
    case WIRE_LIST:
        callback.list(arg, NULL, error);
        break;
    case WIRE_STATS:
        callback.stats(arg, NULL, 0, error);
        break;
    case WIRE_TICKETS:
        callback.ticket_keys(arg, &(struct immure_ticket_keys){.error = error, .error_text = text});
        break;
    default:
        callback.ping(arg, error);
    }
}

void request_end(struct immure_client *client, struct request *request, enum immure_error error,
                 const char *text)
{
    enum wire_type type = request->type;
    union request_callback callback = request->callback;
    void *arg = request->arg;
    request_free(client, request);
    request_call_back(type, callback, arg, error, text);
}

/* A request to a key, with a message. */
static struct request *request_to_key(struct immure_client *client, enum wire_type type,
                                      const uint8_t key_id[IMMURE_KEY_ID_SIZE],
                                      const uint8_t *message, size_t length, uint64_t deadline,
                                      enum immure_error *error)
{
    struct request *made = request_new(client, type, length, error);
    if (made == NULL)
        return NULL;
    memcpy(made->key_id, key_id, sizeof made->key_id);
    memcpy(made->message, message, length);
    if (deadline != 0)
        made->deadline = deadline;
    if (made->deadline < client->next_deadline)
        client->next_deadline = made->deadline;
    return made;
}

enum immure_error immure_sign(struct immure_client *client,
                              const struct immure_sign_request *request,
                              immure_sign_callback *callback, void *arg, immure_request *id)
{
    if (request->message_length == 0 || request->message_length > IMMURE_MESSAGE_MAX ||
        callback == NULL)
        return IMMURE_E_ARGUMENT;
    enum immure_error error;
    struct request *made = request_to_key(client, WIRE_SIGN, request->key_id, request->message,
                                          request->message_length, request->deadline, &error);
    if (made == NULL)
        return error;
    made->callback.sign = callback;
    made->arg = arg;
    made->scheme = request->scheme;
    if (id != NULL)
        *id = made->id;
    return IMMURE_OK;
}

enum immure_error immure_decrypt(struct immure_client *client,
                                 const struct immure_decrypt_request *request,
                                 immure_decrypt_callback *callback, void *arg, immure_request *id)
{
    if (request->ciphertext_length == 0 || request->ciphertext_length > IMMURE_CIPHERTEXT_MAX ||
        callback == NULL)
        return IMMURE_E_ARGUMENT;
    enum immure_error error;
    struct request *made =
        request_to_key(client, WIRE_DECRYPT, request->key_id, request->ciphertext,
                       request->ciphertext_length, request->deadline, &error);
    if (made == NULL)
        return error;
    made->callback.decrypt = callback;
    made->arg = arg;
    made->client_version = request->client_version;
    if (id != NULL)
        *id = made->id;
    return IMMURE_OK;
}

/* A request without a message and a deadline. */
static enum immure_error ask(struct immure_client *client, enum wire_type type,
                             union request_callback callback, void *arg, immure_request *id)
{
    enum immure_error error;
    struct request *made = request_new(client, type, 0, &error);
    if (made == NULL)
        return error;
    made->callback = callback;
    made->arg = arg;
    if (id != NULL)
        *id = made->id;
    return IMMURE_OK;
}

enum immure_error immure_list(struct immure_client *client, immure_list_callback *callback,
                              void *arg, immure_request *id)
{
    if (callback == NULL)
        return IMMURE_E_ARGUMENT;
    return ask(client, WIRE_LIST, (union request_callback){.list = callback}, arg, id);
}

enum immure_error immure_stats(struct immure_client *client, immure_stats_callback *callback,
                               void *arg, immure_request *id)
{
    if (callback == NULL)
        return IMMURE_E_ARGUMENT;
    return ask(client, WIRE_STATS, (union request_callback){.stats = callback}, arg, id);
}

enum immure_error immure_ping(struct immure_client *client, immure_ping_callback *callback,
                              void *arg, immure_request *id)
{
    if (callback == NULL)
        return IMMURE_E_ARGUMENT;
    return ask(client, WIRE_PING, (union request_callback){.ping = callback}, arg, id);
}

enum immure_error immure_ticket_keys(struct immure_client *client,
                                     immure_ticket_keys_callback *callback, void *arg,
                                     immure_request *id)
{
    if (callback == NULL)
        return IMMURE_E_ARGUMENT;
    return ask(client, WIRE_TICKETS, (union request_callback){.ticket_keys = callback}, arg, id);
}

void immure_request_cancel(struct immure_client *client, immure_request id)
{
    struct request *request = request_find(client, id);
    if (request != NULL && request->state != REQUEST_ABANDONED)
        request_give_up(client, request);
}

size_t immure_client_pending(const struct immure_client *client)
{
    return client->pending;
}
