/*
 * One request to immured, for a signature or a decryption, and its reply. It lives on the stack of
 * the operation that asks.
 */
#ifndef PROVIDER_ASK_H
#define PROVIDER_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "immure/client.h"
#include "provider/key.h"

struct ask {
    const struct provider_key *key;
    struct immure_request request; /* all but what ask_send() sets: key id, deadline, callback */
    uint8_t *output;               /* signature or premaster secret */
    size_t size;                   /* room for it */

    bool done;
    enum immure_error error;
    char error_text[256];
    const char *where; /* the socket that was asked; NULL: the waiter's */
    size_t length;     /* of the output, which is not written if it is longer than `size` */
    const char *backend;
    uint64_t queue_ns, work_ns;

    void (*answered)(struct ask *ask); /* called when it is done, if not NULL */
    void *arg;
};

/* Asks immured through the thread's waiter, or else over a connection of the provider's own. False:
 * the reason is on the error queue. May pause the async job that it runs in. */
bool ask_immured(struct ask *ask);

/* Sends the request. The reply has arrived when ask->done is true. */
enum immure_error ask_send(struct ask *ask, struct immure_client *client, uint64_t deadline,
                           immure_request_id *id);
/* Ends the request with or without a reply. */
void ask_end(struct ask *ask, enum immure_error error, const char *text);

#endif
