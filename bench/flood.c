#include "flood.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "window.h"
#include "wire/message.h"

#define CONNECTIONS_MAX 256
#define OUTPUT_MAX (4u << 20)
#define CANCELS 500   /* in one write */
#define ID_STEP 65536 /* makes ids with equal low bits, which collide in a poor hash table */

/* One connection of a flood. */
struct stream {
    int socket;
    struct buffer output;
    uint64_t id; /* of the last request */
    size_t due;  /* requests to send */
    uint8_t header[WIRE_HEADER_SIZE];
    size_t got, skip; /* bytes of the header received, and of the payload still to skip */
};

atomic_ulong *flood_counter(void)
{
    void *memory =
        mmap(NULL, sizeof(atomic_ulong), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        window_fail("mmap", strerror(errno));
    return memory;
}

int flood_connect(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    memcpy(address.sun_path + 1, name + 1, length - 1);
    int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0 ||
        connect(connection, (struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) != 0)
        window_fail("connect", strerror(errno));
    return connection;
}

void flood_put_hello(struct buffer *output)
{
    wire_put_hello(output, &wire_versions);
}

void flood_put_ping(struct buffer *output, uint64_t id)
{
    wire_put_plain(output, WIRE_PING, id, (const uint8_t *)"ping", 4);
}

void flood_put_sign(struct buffer *output, uint64_t id, const struct immure_request *request)
{
    wire_put_request(output, &(struct wire_request){.type = WIRE_SIGN,
                                                    .id = id,
                                                    .key_id = request->key_id,
                                                    .scheme = request->scheme,
                                                    .input = request->input,
                                                    .input_length = request->input_length});
}

/* Counts the replies and ignores their contents. */
static void take_replies(struct flood *flood, struct stream *stream)
{
    static uint8_t room[65536];
    ssize_t received = recv(stream->socket, room, sizeof room, MSG_DONTWAIT);
    if (received == 0 || (received < 0 && errno != EAGAIN))
        window_fail("immured", received == 0 ? "it ended the flood" : strerror(errno));
    for (size_t at = 0; received > 0 && at < (size_t)received;) {
        if (stream->got < WIRE_HEADER_SIZE) {
            stream->header[stream->got++] = room[at++];
            stream->skip = (size_t)stream->header[2] << 8 | stream->header[3];
        } else {
            size_t left = (size_t)received - at;
            size_t skip = stream->skip < left ? stream->skip : left;
            at += skip;
            stream->skip -= skip;
        }
        if (stream->got == WIRE_HEADER_SIZE && stream->skip == 0) {
            stream->got = 0;
            stream->due++;
            atomic_fetch_add(flood->replies, 1);
        }
    }
}

static void send_some(struct stream *stream)
{
    size_t length = buffer_length(&stream->output);
    ssize_t sent = length == 0 ? 0
                               : send(stream->socket, buffer_bytes(&stream->output), length,
                                      MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN)
        window_fail("send", strerror(errno));
    if (sent > 0)
        buffer_consume(&stream->output, (size_t)sent);
}

static void ask(struct flood *flood, struct stream *stream, bool cancels)
{
    for (; stream->due > 0; stream->due--)
        flood_put_sign(&stream->output, stream->id += cancels ? ID_STEP : 1, &flood->request);
    for (uint64_t i = 1; cancels && buffer_length(&stream->output) == 0 && i <= CANCELS; i++)
        wire_put_plain(&stream->output, WIRE_CANCEL, (UINT64_C(1) << 48) + i * ID_STEP, NULL, 0);
}

static void keep_windows(struct flood *flood, bool cancels)
{
    static struct stream streams[CONNECTIONS_MAX];
    struct pollfd polled[CONNECTIONS_MAX];
    for (size_t i = 0; i < flood->connections; i++) {
        streams[i] = (struct stream){.socket = flood_connect(flood->name),
                                     .output = BUFFER_INIT(OUTPUT_MAX),
                                     .due = flood->window - 1};
        flood_put_hello(&streams[i].output); /* its reply opens the window */
    }
    while (clock_now() < flood->until) {
        for (size_t i = 0; i < flood->connections; i++) {
            ask(flood, &streams[i], cancels);
            send_some(&streams[i]);
            bool more = buffer_length(&streams[i].output) > 0 || cancels;
            polled[i] = (struct pollfd){.fd = streams[i].socket,
                                        .events = (short)(more ? POLLIN | POLLOUT : POLLIN)};
        }
        poll(polled, flood->connections, 100);
        for (size_t i = 0; i < flood->connections; i++)
            if (polled[i].revents != 0)
                take_replies(flood, &streams[i]);
    }
}

static void become(uid_t uid)
{
    if (setresuid(uid, uid, uid) != 0)
        window_fail("setresuid", strerror(errno));
}

static void flood_sign(struct flood *flood)
{
    keep_windows(flood, false);
}

static void flood_sign_other(struct flood *flood)
{
    become(flood->uid);
    keep_windows(flood, false);
}

static void flood_cancel(struct flood *flood)
{
    become(flood->uid);
    keep_windows(flood, true);
}

static void flood_connections(struct flood *flood)
{
    become(flood->stranger);
    uint64_t pause = flood->window > 0 ? NS_PER_S / flood->window : 0;
    for (uint64_t next = clock_now(); next < flood->until; next += pause) {
        uint64_t now = clock_now();
        if (next > now)
            nanosleep(&(struct timespec){.tv_nsec = (long)(next - now)}, NULL);
        close(flood_connect(flood->name));
        atomic_fetch_add(flood->replies, 1);
        if (pause == 0)
            next = now;
    }
}

const struct flood_kind flood_kinds[] = {{"sign", flood_sign},
                                         {"sign-other", flood_sign_other},
                                         {"cancel", flood_cancel},
                                         {"connect", flood_connections}};
const size_t flood_kind_count = sizeof flood_kinds / sizeof flood_kinds[0];

void flood_run(struct flood *flood)
{
    flood->kind->run(flood);
}
