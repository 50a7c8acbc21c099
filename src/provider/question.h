/*
 * A question to immured, for a signature or a decryption, and its answer. It lives on the stack of
 * the operation that asks.
 */
#ifndef PROVIDER_QUESTION_H
#define PROVIDER_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "immure/client.h"
#include "provider/key.h"

struct question {
    const struct provider_key *key;
    struct immure_request
        request;     /* all but what question_send() sets: key id, deadline, callback */
    uint8_t *output; /* signature or premaster secret */
    size_t size;     /* room for it */

    bool done;
    enum immure_error error;
    char error_text[256];
    const char *where; /* the socket that was asked; NULL: the waiter's */
    size_t length;     /* of the output, which is not written if it is longer than `size` */
    const char *backend;
    uint64_t queue_ns, work_ns;

    void (*answered)(struct question *question); /* called when it is done, if not NULL */
    void *arg;
};

/* Sends the request. The reply has arrived when question->done is true. */
enum immure_error question_send(struct question *question, struct immure_client *client,
                                uint64_t deadline, immure_request_id *id);
/* Ends the request with or without a reply. */
void question_end(struct question *question, enum immure_error error, const char *text);

#endif
