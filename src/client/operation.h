/* What immured can be asked for, one row each: how the request is written, and what its reply does.
 */
#ifndef CLIENT_OPERATION_H
#define CLIENT_OPERATION_H

#include "client/core.h"

struct operation {
    enum immure_operation operation; /* also the type of the frame that asks */
    enum wire_type reply;
    size_t input_max; /* the most bytes of input, the least being 1; 0: it has no input */
    /* Appends the frame that asks. False: there is no room for it. */
    bool (*put)(struct immure_client *client, const struct request *request, uint64_t now);
    /* Ends the request with what the frame says. An error is about the stream. */
    enum immure_error (*take)(struct immure_client *client, struct request *request,
                              const struct wire_frame *frame);
};

/* NULL: there is no such operation. */
const struct operation *operation_find(enum immure_operation operation);

#endif
