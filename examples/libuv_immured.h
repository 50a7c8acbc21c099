/* The connection to immured on a libuv loop. */
#ifndef EXAMPLES_LIBUV_IMMURED_H
#define EXAMPLES_LIBUV_IMMURED_H

#include <immure/client.h>
#include <immure/reference.h>
#include <uv.h>

struct immured {
    struct immure_client *client;      /* signs for all connections */
    struct immure_reference reference; /* names the key and its immured */
    uint8_t der[IMMURE_REFERENCE_DER_MAX];

    uv_loop_t *loop;
    uv_pipe_t pipe;
    uv_connect_t connecting;
    uv_timer_t retry, deadline;
    uv_prepare_t turn_end;
    bool connected, ended;
};

/* Reads the key reference, and keeps a connection to immured open. Exits with an error message if
 * it cannot read the reference. */
void immured_open(struct immured *immured, uv_loop_t *loop, const char *reference);
/* Stops reconnecting. The owner closes the handles, runs the loop, and frees the client. */
void immured_end(struct immured *immured);

/* An allocation callback for uv_read_start(). All reads share one buffer, because data is consumed
 * at once. */
void read_room(uv_handle_t *handle, size_t size, uv_buf_t *buffer);
/* Copies the bytes. */
void write_to(uv_stream_t *stream, const void *bytes, size_t length);
_Noreturn void fail(const char *what, const char *why);

#endif
