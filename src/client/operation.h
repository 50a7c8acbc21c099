/* What immured can be asked for, one row each: how to write the request and take the reply. */
#ifndef CLIENT_OPERATION_H
#define CLIENT_OPERATION_H

#include "client/core.h"

struct operation {
    enum immure_operation operation; /* also the type of the frame that asks */
    enum wire_type reply;
    size_t input_max; /* the input has 1 to this many bytes; 0: it has no input */
    /* Appends the request's frame. False: there is no room for it. */
    bool (*put)(struct immure_client *client, const struct request *request, uint64_t now);
    /* Takes a frame of the reply, and ends the request if it is the last one. An error is about the
     * stream. */
    enum immure_error (*take)(struct immure_client *client, struct request *request,
                              const struct wire_frame *frame);
};

/* NULL: there is no such operation. */
const struct operation *operation_find(enum immure_operation operation);

#endif
