/* The connection to immured on a libuv loop. */
#ifndef EXAMPLES_LIBUV_IMMURED_H
#define EXAMPLES_LIBUV_IMMURED_H

#include <immure/client.h>
#include <immure/reference.h>
#include <uv.h>

struct immured {
    struct immure_client *client;      /* signatures are asked for here */
    struct immure_reference reference; /* of the key, and of the immured that has it */
    uint8_t der[IMMURE_REFERENCE_DER_MAX];

    uv_loop_t *loop;
    uv_pipe_t pipe;
    uv_connect_t connecting;
    uv_timer_t retry, deadline;
    uv_prepare_t turn_end;
    bool connected, ended;
};

/* Reads the key reference, and connects whenever there is no connection. Ends the program with a
 * line if it cannot read it. */
void immured_open(struct immured *immured, uv_loop_t *loop, const char *reference);
/* No more connections. The owner closes the handles, runs the loop, and frees the client. */
void immured_end(struct immured *immured);

/* For uv_read_start(): a room that all reads share, as what is read is taken at once. */
void read_room(uv_handle_t *handle, size_t size, uv_buf_t *buffer);
/* Copies the bytes. */
void write_to(uv_stream_t *stream, const void *bytes, size_t length);
_Noreturn void fail(const char *what, const char *why);

#endif
