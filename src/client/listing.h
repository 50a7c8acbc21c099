/* The reply to LIST. */
#ifndef CLIENT_LISTING_H
#define CLIENT_LISTING_H

#include "client/core.h"

/* Keeps one KEYS frame, and calls back if it is the last one. An error is about the stream. */
enum immure_error listing_take(struct immure_client *client, struct request *request,
                               const struct wire_frame *frame);

#endif
