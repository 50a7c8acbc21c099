/*
 * The parts of a client, shared by the files of the sans-I/O core.
 *
 * A request's life: it is made UNSENT, SENT when its frame is in the output, and freed when its
 * reply is there. A request that is given up (cancelled, or past its deadline) is freed at once if
 * it is UNSENT. If it is SENT it stays as ABANDONED until immured has answered it or the connection
 * is gone: its slot and its bytes stay taken, so that however fast requests are made and cancelled,
 * neither this client nor immured ever holds more than the bounds allow.
 */
#ifndef CLIENT_CORE_H
#define CLIENT_CORE_H

#include "base/buffer.h"
#include "base/list.h"
#include "immure/client.h"
#include "wire/message.h"

enum request_state { REQUEST_UNSENT, REQUEST_SENT, REQUEST_ABANDONED };

struct request {
    struct list order; /* in unsent, sent, cancels or abandoned of the client */
    immure_request_id id;
    enum request_state state;
    const struct operation *operation;
    struct immure_request asked; /* as the caller filled it, but that its input is the one below,
                                    and its deadline UINT64_MAX if there is none */
    size_t bytes;                /* its share of the client's max_bytes */

    struct list pages; /* LIST: the KEYS frames so far */
    uint32_t first;    /* LIST: index of the first key of the next page */

    uint8_t input[];
};

/* Where an id leads. The slot's index is the low part of the id. */
struct slot {
    struct request *request; /* NULL: free */
    uint16_t next_free;
};

struct immure_client {
    size_t max_requests, max_bytes;
    size_t bytes;   /* of all requests that hold a slot */
    size_t held;    /* requests that hold a slot */
    size_t pending; /* those of them that were not given up */
    bool closing;   /* being freed: takes no more requests */

    struct slot *slots;
    size_t slot_count;  /* allocated */
    uint16_t free_slot; /* NO_SLOT: none */
    uint64_t serial;    /* of the last request: ids are never used twice */

    /* In the order in which they were made. */
    struct list unsent, sent;
    struct list cancels;   /* abandoned, immured is to be told */
    struct list abandoned; /* abandoned, immured was told */

    uint64_t next_deadline; /* no pending request's deadline is earlier */

    struct wire_hello versions; /* that are offered */

    /* The connection. */
    bool greeted; /* HELLO is in the output */
    enum immure_error failed;
    size_t in_flight, in_flight_limit; /* requests that immured has not answered */
    struct buffer output;
    struct wire_decoder decoder; /* which knows the agreed version */
};

/* reply.c */

/* Whether all that was received has been taken: no part of a frame waits for its rest. */
bool client_between_frames(const struct immure_client *client);

/* request.c */

/* Whether the agreed version of the protocol has this operation; before WELCOME, whether every
 * version has it. */
bool client_speaks(const struct immure_client *client, enum immure_operation operation);

/* NULL: no request that holds a slot has this id. */
struct request *request_find(struct immure_client *client, immure_request_id id);
/* Frees it and its slot, whatever list it is in. */
void request_free(struct immure_client *client, struct request *request);
/* Forgets it, or, if immured has it, abandons it. There will be no callback. */
void request_give_up(struct immure_client *client, struct request *request);
/* Frees it, then calls back. */
void request_answer(struct immure_client *client, struct request *request,
                    const struct immure_reply *reply);
/* The same, with nothing but how it ended and the text of that. */
void request_end(struct immure_client *client, struct request *request, enum immure_error error);

/* listing.c */

/* Takes one KEYS frame; calls back when it was the last. An error is one of the stream. */
enum immure_error listing_take(struct immure_client *client, struct request *request,
                               const struct wire_frame *frame);
/* Drops the pages so far: the listing begins again. */
void listing_restart(struct immure_client *client, struct request *request);

#endif
