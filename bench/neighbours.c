/*
 * What one client of immured suffers from another: the time that a lone signature takes, beside a
 * client that keeps a window of requests under way and beside none, in turns.
 *
 *     bench-neighbours IMMURED KEY SCHEME FLOOD_KEY FLOOD_SCHEME WINDOW SECONDS TURNS
 *
 * SCHEME is the number of a TLS SignatureScheme; each turn is SECONDS without and SECONDS with the
 * flood. Prints one JSON object: alone and beside, each with count, p50_us, p99_us and p999_us
 * (null: too few beyond it), and flood_per_s.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
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
#include "immure/blocking.h"
#include "immure/spawn.h"
#include "window.h"

#define PAUSE_MAX (2 * NS_PER_MS) /* between two lone signatures, evenly distributed */
#define SETTLE (200 * NS_PER_MS)  /* after the flood has begun */
#define BEYOND 10                 /* samples that a quantile needs beyond it */

struct lone {
    struct immure_blocking *exchange;
    struct immure_sign_request request;
};

struct flood {
    struct window window;
    uint64_t until;
};

static int listen_somewhere(char *name, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address.sun_family; /* the kernel finds an abstract name */
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

static int connect_to(const char *name)
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

static void *flood_run(void *arg)
{
    struct flood *flood = arg;
    window_run(&flood->window, flood->until);
    return NULL;
}

static void sign_alone(struct lone *lone, struct histogram *times, uint64_t until)
{
    uint8_t signature[IMMURE_SIGNATURE_MAX];
    struct immure_signature reply;
    while (clock_now() < until) {
        nanosleep(&(struct timespec){.tv_nsec = (long)((uint64_t)random() % PAUSE_MAX)}, NULL);
        uint64_t begun = clock_now();
        if (immure_blocking_sign(lone->exchange, &lone->request, 60 * NS_PER_S, signature,
                                 &reply) != IMMURE_OK)
            window_fail("sign", reply.error_text);
        histogram_record(times, clock_now() - begun);
    }
}

static void sign_beside(struct lone *lone, struct histogram *times, struct flood *flood,
                        uint64_t duration)
{
    pthread_t thread;
    flood->until = clock_now() + SETTLE + duration;
    if (pthread_create(&thread, NULL, flood_run, flood) != 0)
        window_fail("thread", "cannot be made");
    nanosleep(&(struct timespec){.tv_nsec = (long)SETTLE}, NULL);
    sign_alone(lone, times, clock_now() + duration);
    pthread_join(thread, NULL);
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

int main(int argc, char **argv)
{
    if (argc != 9) {
        fprintf(stderr, "usage: bench-neighbours IMMURED KEY SCHEME FLOOD_KEY FLOOD_SCHEME WINDOW "
                        "SECONDS TURNS\n");
        return 2;
    }
    uint64_t duration = (uint64_t)(strtod(argv[7], NULL) * (double)NS_PER_S);
    long window = strtol(argv[6], NULL, 10), turns = strtol(argv[8], NULL, 10);
    char config[2048], name[128];
    snprintf(config, sizeof config,
             "threads = 1\nlog-level = error\nqueue-age = 1h\nkey \"lone\" { file = \"%s\" }\n"
             "key \"flood\" { file = \"%s\" }\n",
             argv[2], argv[4]);
    struct immure_spawn_options options = {
        .program = argv[1], .config = config, .listener = listen_somewhere(name, sizeof name)};
    pid_t immured;
    if (immure_spawn(&options, &immured, NULL) != IMMURE_OK)
        window_fail(argv[1], strerror(errno));

    static struct flood flood;
    static struct histogram alone, beside;
    struct window lone_key = {0};
    window_begin(&lone_key, connect_to(name), "lone", (uint16_t)strtol(argv[3], NULL, 0));
    window_begin(&flood.window, connect_to(name), "flood", (uint16_t)strtol(argv[5], NULL, 0));
    slice_precede(); /* the lone client, whose own waits for a core are not immured's */
    struct lone lone = {.exchange = immure_blocking_unix(name), .request = lone_key.request};
    flood.window.due = (unsigned)window;
    for (long turn = 0; turn < turns; turn++) {
        sign_alone(&lone, &alone, clock_now() + duration);
        sign_beside(&lone, &beside, &flood, duration);
    }
    printf("{");
    print_times("alone", &alone);
    print_times("beside", &beside);
    printf("\"flood_per_s\":%.0f}\n",
           (double)flood.window.signatures /
               ((double)turns * (double)(SETTLE + duration) / (double)NS_PER_S));
    kill(immured, SIGTERM);
    waitpid(immured, NULL, 0);
    return EXIT_SUCCESS;
}
