#include "client/operation.h"
#include "client/request.h"

_Static_assert(IMMURE_MESSAGE_MAX == WIRE_MESSAGE_MAX, "one limit, public and on the wire");
_Static_assert(IMMURE_SIGNATURE_MAX == WIRE_SIGNATURE_MAX, "one limit, public and on the wire");
_Static_assert(IMMURE_CIPHERTEXT_MAX == WIRE_CIPHERTEXT_MAX, "one limit, public and on the wire");
_Static_assert(IMMURE_PREMASTER_SIZE == WIRE_PREMASTER_SIZE, "one size, public and on the wire");
_Static_assert(sizeof(struct immure_ticket_key) == WIRE_TICKET_KEY_SIZE, "one layout of bytes");
_Static_assert(IMMURE_KEY_ID_SIZE == WIRE_KEY_ID_SIZE, "one size, public and on the wire");

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
    struct request *made = request_new(client, operation, request, &error);
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
