/*
 * Parses an HTTP/1.1 reply (RFC 9112) incrementally, in fixed memory, to know when it is complete.
 * The body is counted, not kept.
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
    HTTP_BODY_TO_END /* no length given: everything until the connection ends */,
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK, /* `left` bytes of it, including its CRLF */
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
    char line[128]; /* longer lines are truncated */
};

/* Parses the next bytes, ignoring those after the end of the reply. Returns the state. An all-zero
 * struct is a new reply. */
enum http_state http_reply_read(struct http_reply *reply, const char *bytes, size_t length);
/* Tells the parser that the connection has ended. Returns whether that completes the reply. */
bool http_reply_end(struct http_reply *reply);

#endif
