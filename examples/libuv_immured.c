#include "libuv_immured.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 50

struct write {
    uv_write_t request; /* first */
    char bytes[];
};

void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

void read_room(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    (void)handle;
    (void)size;
    static char room[65536]; /* shared: the data is consumed before the next read */
    *buffer = uv_buf_init(room, sizeof room);
}

static void written(uv_write_t *request, int status)
{
    (void)status; /* a failure also shows up when reading */
    free(request);
}

/* Copies the bytes. */
void write_to(uv_stream_t *stream, const void *bytes, size_t length)
{
    struct write *write = malloc(sizeof *write + length);
    if (write == NULL)
        fail("write", "out of memory");
    memcpy(write->bytes, bytes, length);
    uv_buf_t buffer = uv_buf_init(write->bytes, (unsigned)length);
    if (uv_write(&write->request, stream, &buffer, 1, written) != 0)
        free(write);
}

static void immured_connect(uv_timer_t *timer);

static void immured_closed(uv_handle_t *handle)
{
    struct immured *immured = handle->data;
    immure_client_reset(immured->client);
    if (!immured->ended)
        uv_timer_start(&immured->retry, immured_connect, RETRY_MS, 0);
}

/* immured was killed or upgraded. The client repeats its pending requests after reconnecting. */
static void immured_lost(struct immured *immured)
{
    immured->connected = false;
    if (!uv_is_closing((uv_handle_t *)&immured->pipe))
        uv_close((uv_handle_t *)&immured->pipe, immured_closed);
}

static void immured_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct immured *immured = stream->data;
    if (length < 0 ||
        immure_client_receive(immured->client, buffer->base, (size_t)length) != IMMURE_OK)
        immured_lost(immured);
}

static void immured_connected(uv_connect_t *request, int status)
{
    struct immured *immured = request->handle->data;
    immured->connected = status == 0;
    if (status != 0 || uv_read_start(request->handle, read_room, immured_read) != 0)
        immured_lost(immured);
}

static void immured_connect(uv_timer_t *timer)
{
    struct immured *immured = timer->data;
    uv_pipe_init(immured->loop, &immured->pipe, 0);
    immured->pipe.data = immured;
    uv_pipe_connect(&immured->connecting, &immured->pipe, immured->reference.socket,
                    immured_connected);
}

static void deadline_passed(uv_timer_t *timer)
{
    struct immured *immured = timer->data;
    immure_client_expire(immured->client, uv_hrtime());
}

/* Before the loop waits, sends all of this turn's requests in one write. */
static void flush(uv_prepare_t *prepare)
{
    struct immured *immured = prepare->data;
    const void *bytes;
    size_t length;
    uint64_t now = uv_hrtime(), until = immure_client_next_deadline(immured->client);
    while (immured->connected &&
           (length = immure_client_output(immured->client, &bytes, now)) > 0) {
        write_to((uv_stream_t *)&immured->pipe, bytes, length);
        immure_client_sent(immured->client, length);
    }
    if (until == UINT64_MAX)
        uv_timer_stop(&immured->deadline);
    else
        uv_timer_start(&immured->deadline, deadline_passed,
                       until > now ? (until - now) / 1000000 + 1 : 0, 0);
}

static void read_reference(struct immured *immured, const char *path)
{
    char text[IMMURE_REFERENCE_PEM_SIZE];
    FILE *file = fopen(path, "r");
    size_t length = file != NULL ? fread(text, 1, sizeof text, file) : 0;
    if (file != NULL)
        fclose(file);
    enum immure_reference_error error =
        immure_reference_parse_pem(&immured->reference, text, length, immured->der);
    if (error != IMMURE_REFERENCE_OK)
        fail(path, immure_reference_error_text(error));
    if (immured->reference.socket[0] == '@')
        fail(path, "uv_pipe_connect() knows no names in the abstract namespace");
}

void immured_open(struct immured *immured, uv_loop_t *loop, const char *reference)
{
    read_reference(immured, reference);
    immured->client = immure_client_new(NULL);
    if (immured->client == NULL)
        fail("client", "out of memory");
    immured->loop = loop;
    uv_timer_init(loop, &immured->retry);
    uv_timer_init(loop, &immured->deadline);
    uv_prepare_init(loop, &immured->turn_end);
    immured->retry.data = immured->deadline.data = immured->turn_end.data = immured;
    uv_prepare_start(&immured->turn_end, flush);
    immured_connect(&immured->retry);
}

void immured_end(struct immured *immured)
{
    immured->ended = true;
    immured->connected = false;
}
