/* The requests of a client, and the slots that they hold. */
#ifndef CLIENT_REQUEST_H
#define CLIENT_REQUEST_H

#include "client/core.h"

/* Whether the agreed version of the protocol has this operation, or before WELCOME, whether every
 * version has it. */
bool client_speaks(const struct immure_client *client, enum immure_operation operation);

/* Copies the request and gives it a slot. NULL: *error says why. */
struct request *request_new(struct immure_client *client, const struct operation *operation,
                            const struct immure_request *asked, enum immure_error *error);
/* NULL: no request that holds a slot has this id. */
struct request *request_find(struct immure_client *client, immure_request_id id);
/* Frees it and its slot, and takes it out of its list. */
void request_free(struct immure_client *client, struct request *request);
/* Frees it, or abandons it if immured has it. Its callback will not be called. */
void request_give_up(struct immure_client *client, struct request *request);
/* Drops the pages that have arrived, because the listing begins again. */
void request_drop_pages(struct immure_client *client, struct request *request);
/* Frees it, then calls back. */
void request_answer(struct immure_client *client, struct request *request,
                    const struct immure_reply *reply);
/* The same, with a reply that only has an error and its text. */
void request_end(struct immure_client *client, struct request *request, enum immure_error error);

#endif
