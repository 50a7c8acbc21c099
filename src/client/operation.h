/* What immured can be asked for, one row each: how it goes out, and what its reply does. */
#ifndef CLIENT_OPERATION_H
#define CLIENT_OPERATION_H

#include "client/core.h"

struct operation {
    enum immure_operation operation; /* also the type of the frame that asks */
    enum wire_type reply;
    size_t input_max; /* bytes of input, of which there is one at least; 0: it has none */
    /* Appends the frame that asks. False: there is no room for it. */
    bool (*put)(struct immure_client *client, const struct request *request, uint64_t now);
    /* Ends the request with what the frame says; an error is one of the stream. */
    enum immure_error (*take)(struct immure_client *client, struct request *request,
                              const struct wire_frame *frame);
};

/* NULL: there is no such operation. */
const struct operation *operation_find(enum immure_operation operation);

#endif
