/*
 * The state of a client, shared by the files of the sans-I/O core.
 *
 * The life of a request: it begins UNSENT, is SENT when its frame is in the output, and is freed
 * when its reply arrives. A request that is given up (cancelled, or past its deadline) is freed at
 * once if it is UNSENT. If it is SENT, it becomes ABANDONED and keeps its slot and its bytes until
 * immured has answered it or the connection is lost: however fast requests are made and cancelled,
 * neither this client nor immured then holds more than the bounds allow.
 */
#ifndef CLIENT_CORE_H
#define CLIENT_CORE_H

#include "base/buffer.h"
#include "base/list.h"
#include "immure/client.h"
#include "wire/message.h"

enum request_state { REQUEST_UNSENT, REQUEST_SENT, REQUEST_ABANDONED };

/* A part of the reply to LIST: the payload of a KEYS frame that has been checked. */
struct page {
    struct list order; /* in the request's pages */
    size_t length;
    uint8_t payload[];
};

struct request {
    struct list order; /* in the client: unsent, sent, cancels or abandoned */
    immure_request_id id;
    enum request_state state;
    const struct operation *operation;
    struct immure_request asked; /* the caller's, except that `input` points to the copy below, and
                                    `deadline` is UINT64_MAX if there is none */
    size_t bytes;                /* its share of the client's max_bytes */

    struct list pages; /* LIST: the KEYS frames so far */
    uint32_t first;    /* LIST: index of the first key of the next page */

    uint8_t input[];
};

/* A slot holds one request; the low part of the request's id is the index of the slot. */
struct slot {
    struct request *request; /* NULL: free */
    uint16_t next_free;
};

struct immure_client {
    size_t max_requests, max_bytes;
    size_t bytes;   /* of all requests that hold a slot */
    size_t held;    /* requests that hold a slot */
    size_t pending; /* requests that hold a slot and are not given up */
    bool closing;   /* being freed: accepts no more requests */

    struct slot *slots;
    size_t slot_count;  /* allocated */
    uint16_t free_slot; /* NO_SLOT: none */
    uint64_t serial;    /* of the last request: ids are never used twice */

    /* In the order in which they were made. */
    struct list unsent, sent;
    struct list cancels;   /* abandoned, and immured has to be told */
    struct list abandoned; /* abandoned, and immured has been told */

    uint64_t next_deadline; /* no pending request has an earlier deadline */

    struct wire_hello versions; /* the range that it offers */

    /* The connection. */
    bool greeted; /* HELLO is in the output */
    enum immure_error failed;
    size_t in_flight, in_flight_limit; /* sent requests without an answer */
    struct buffer output;
    struct wire_decoder decoder; /* which knows the agreed version */
};

/* reply.c */

/* Whether everything that was received has been processed, and no part of a frame is left. */
bool client_between_frames(const struct immure_client *client);

#endif
