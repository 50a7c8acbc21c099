/*
 * Measures how much one client of immured can slow down another: the time of single requests with
 * and without a flood, in alternating turns.
 *
 *     bench-neighbours IMMURED KEY SCHEME FLOOD_KEY FLOOD_SCHEME SECONDS TURNS
 *                      FLOOD CONNECTIONS WINDOW
 *
 * SCHEME is the number of a TLS SignatureScheme; with 0 the single requests are PINGs. Each turn is
 * SECONDS without and SECONDS with the flood, which is one of
 *
 *     sign        CONNECTIONS of the same uid, each of which keeps WINDOW requests under way
 *     sign-other  the same, of another uid
 *     cancel      as sign-other; besides, each cancels what is not there, as fast as it can, by ids
 *                 that are equal in their last bits to those of what is
 *     connect     WINDOW connections a second of a uid that may not connect; 0: as many as it can
 *
 * All but `sign` need root. Prints one JSON object: alone and beside, each with count, p50_us,
 * p99_us and p999_us (null: too few samples beyond it), busy (single requests that were refused),
 * and flood_per_s.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "base/slice.h"
#include "flood.h"
#include "immure/spawn.h"
#include "window.h"
#include "wire/frame.h"

#define PAUSE_MAX (2 * NS_PER_MS) /* between two single requests, uniformly distributed */
#define SETTLE (500 * NS_PER_MS)  /* wait after the start of the flood */
#define BEYOND 10                 /* samples that a quantile needs beyond it */
#define FLOOD_UID 50001
#define STRANGER_UID 50002

struct lone {
    int socket;
    struct immure_request request; /* a PING if its scheme is 0 */
    uint64_t busy;
};

static int listen_somewhere(char *name, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address.sun_family; /* the kernel chooses an abstract name */
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) != 0 ||
        listen(listener, 16) != 0)
        window_fail("socket", strerror(errno));
    length = sizeof address;
    getsockname(listener, (struct sockaddr *)&address, &length);
    snprintf(name, size, "@%.*s", (int)(length - offsetof(struct sockaddr_un, sun_path) - 1),
             address.sun_path + 1);
    return listener;
}

static void receive_all(int socket, void *bytes, size_t length)
{
    if (recv(socket, bytes, length, MSG_WAITALL) != (ssize_t)length)
        window_fail("immured", "it ended");
}

/* Receives a whole frame and returns its type. */
static unsigned receive_frame(int socket)
{
    uint8_t header[WIRE_HEADER_SIZE], payload[WIRE_PAYLOAD_MAX];
    receive_all(socket, header, sizeof header);
    receive_all(socket, payload, (size_t)header[2] << 8 | header[3]);
    return header[0];
}

/* A connection after HELLO and WELCOME. */
static int greet(const char *name)
{
    int socket = flood_connect(name);
    struct buffer hello = BUFFER_INIT(64);
    flood_put_hello(&hello);
    if (send(socket, buffer_bytes(&hello), buffer_length(&hello), MSG_NOSIGNAL) < 0 ||
        receive_frame(socket) != WIRE_WELCOME)
        window_fail("immured", "no WELCOME");
    buffer_release(&hello);
    return socket;
}

static void ask_alone(struct lone *lone, struct histogram *times, uint64_t until)
{
    struct buffer frame = BUFFER_INIT(4096);
    if (lone->request.scheme == 0)
        flood_put_ping(&frame, 1);
    else
        flood_put_sign(&frame, 1, &lone->request);
    while (clock_now() < until) {
        nanosleep(&(struct timespec){.tv_nsec = (long)((uint64_t)random() % PAUSE_MAX)}, NULL);
        uint64_t begun = clock_now();
        if (send(lone->socket, buffer_bytes(&frame), buffer_length(&frame), MSG_NOSIGNAL) < 0)
            window_fail("send", strerror(errno));
        lone->busy += receive_frame(lone->socket) == WIRE_ERROR;
        histogram_record(times, clock_now() - begun);
    }
    buffer_release(&frame);
}

static void ask_beside(struct lone *lone, struct histogram *times, struct flood *flood,
                       uint64_t duration)
{
    flood->until = clock_now() + SETTLE + duration;
    pid_t child = fork();
    if (child == 0) {
        flood_run(flood);
        _exit(EXIT_SUCCESS);
    }
    nanosleep(&(struct timespec){.tv_nsec = (long)SETTLE}, NULL);
    ask_alone(lone, times, clock_now() + duration);
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        window_fail("flood", "it failed");
}

static void print_times(const char *name, const struct histogram *times)
{
    static const struct {
        const char *name;
        double quantile;
    } quantiles[] = {{"p50_us", 0.5}, {"p99_us", 0.99}, {"p999_us", 0.999}};
    uint64_t count = histogram_count(times);
    printf("\"%s\":{\"count\":%llu", name, (unsigned long long)count);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        if ((double)count * (1 - quantiles[i].quantile) < BEYOND)
            printf(",\"%s\":null", quantiles[i].name);
        else
            printf(",\"%s\":%.1f", quantiles[i].name,
                   (double)histogram_quantile(times, quantiles[i].quantile) / (double)NS_PER_US);
    }
    printf("},");
}

static const struct flood_kind *find_flood(const char *name)
{
    for (size_t i = 0; i < flood_kind_count; i++)
        if (strcmp(flood_kinds[i].name, name) == 0)
            return &flood_kinds[i];
    window_fail("no such flood", name);
}

int main(int argc, char **argv)
{
    if (argc != 11) {
        fprintf(stderr, "usage: bench-neighbours IMMURED KEY SCHEME FLOOD_KEY FLOOD_SCHEME SECONDS "
                        "TURNS FLOOD CONNECTIONS WINDOW\n");
        return 2;
    }
    uint64_t duration = (uint64_t)(strtod(argv[6], NULL) * (double)NS_PER_S);
    long turns = strtol(argv[7], NULL, 10);
    char config[2048], name[128];
    snprintf(config, sizeof config,
             "threads = 1\nlog-level = error\nqueue-age = 1h\nallow-users = {%d}\n"
             "key \"lone\" { file = \"%s\" }\nkey \"flood\" { file = \"%s\" }\n",
             FLOOD_UID, argv[2], argv[4]);
    struct immure_spawn_options options = {
        .program = argv[1], .config = config, .listener = listen_somewhere(name, sizeof name)};
    pid_t immured;
    if (immure_spawn(&options, &immured, NULL) != IMMURE_OK)
        window_fail(argv[1], strerror(errno));

    static struct histogram alone, beside;
    struct window lone_key = {0}, flood_key = {0};
    window_begin(&lone_key, flood_connect(name), "lone", (uint16_t)strtol(argv[3], NULL, 0));
    window_begin(&flood_key, flood_connect(name), "flood", (uint16_t)strtol(argv[5], NULL, 0));
    struct flood flood = {.kind = find_flood(argv[8]),
                          .name = name,
                          .uid = FLOOD_UID,
                          .stranger = STRANGER_UID,
                          .request = flood_key.request,
                          .connections = (size_t)strtol(argv[9], NULL, 10),
                          .window = (size_t)strtol(argv[10], NULL, 10),
                          .replies = flood_counter()};
    slice_precede(); /* so that the client's own waits for a core are not attributed to immured */
    struct lone lone = {.socket = greet(name), .request = lone_key.request};
    for (long turn = 0; turn < turns; turn++) {
        ask_alone(&lone, &alone, clock_now() + duration);
        ask_beside(&lone, &beside, &flood, duration);
    }
    printf("{");
    print_times("alone", &alone);
    print_times("beside", &beside);
    printf("\"busy\":%llu,\"flood_per_s\":%.0f}\n", (unsigned long long)lone.busy,
           (double)*flood.replies /
               ((double)turns * (double)(SETTLE + duration) / (double)NS_PER_S));
    kill(immured, SIGTERM);
    waitpid(immured, NULL, 0);
    return EXIT_SUCCESS;
}
