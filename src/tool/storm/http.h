/*
 * Reads an HTTP/1.1 reply (RFC 9112) as it arrives, in fixed memory, to know when it is whole. The
 * body is counted, not kept.
 */
#ifndef STORM_HTTP_H
#define STORM_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_state {
    HTTP_STATUS_LINE,
    HTTP_HEADER,
    HTTP_BODY, /* `left` bytes of it */
    HTTP_BODY_TO_END /* no length given: all until the connection ends */,
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK, /* `left` bytes of it, and its line end */
    HTTP_TRAILER,
    HTTP_DONE,
    HTTP_BAD
};

struct http_reply {
    enum http_state state;
    unsigned status;
    uint64_t left;
    bool chunked, length_given;
    bool close; /* the server will close after this reply */
    unsigned line_length;
    char line[128]; /* longer lines are cut: what matters is at their front */
};

/* A zeroed reply is at its beginning. Takes the next bytes; those after the end are not looked at.
 * Returns the state. */
enum http_state http_reply_read(struct http_reply *reply, const char *bytes, size_t length);
/* The connection has ended: whether that completes the reply. */
bool http_reply_end(struct http_reply *reply);

#endif
