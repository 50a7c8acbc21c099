/*
 * Measures the cost of a signature or, with an immured whose signatures cost nothing (the backend
 * "replay" of bench-immured-replay), the cost of requesting one: an event loop with libimmure and a
 * window of pending requests, in which all requests that are due share one write.
 *
 *     bench-exchange IMMURED KEY SCHEME BACKEND WINDOW SECONDS
 *     bench-adapter-NAME ...      the same through the adapter for a TLS library
 *
 * SCHEME is the number of a TLS SignatureScheme. Prints one JSON object: signatures,
 * requests_per_write, client_us and immured_us (CPU time of a signature: user and system, all
 * threads), and with a window of 1 round_trip_us (median).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "adapters.h"
#include "base/clock.h"
#include "immure/spawn.h"
#include "window.h"

#define WARMUP (NS_PER_S / 2)
#define WINDOW_MAX 4096
#define ROUND_TRIPS_MAX (1 << 20)
#define UNDISTURBED 20 /* one in this many is assumed to be */

struct round_trips {
    struct window window; /* must be first: answered() gets a pointer to it */
    uint64_t ns[ROUND_TRIPS_MAX];
    size_t count;
};

static void answered(struct window *window, uint64_t ns)
{
    struct round_trips *trips = (struct round_trips *)window;
    if (trips->count < ROUND_TRIPS_MAX)
        trips->ns[trips->count++] = ns;
}

static uint64_t cpu_time(clockid_t clock)
{
    struct timespec time;
    if (clock_gettime(clock, &time) != 0)
        window_fail("clock_gettime", strerror(errno));
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* The 5 % quantile of the round trips, because other load on the machine lengthens the rest. */
static uint64_t undisturbed(struct round_trips *trips)
{
    qsort(trips->ns, trips->count, sizeof(uint64_t), compare);
    return trips->ns[trips->count / UNDISTURBED];
}

static void measure(struct round_trips *trips, pid_t immured, long size, uint64_t duration)
{
    struct window *window = &trips->window;
    clockid_t theirs;
    if (clock_getcpuclockid(immured, &theirs) != 0)
        window_fail("immured", "its CPU time cannot be read");
    window_run(window, clock_now() + WARMUP);
    window->signatures = window->writes = 0;
    trips->count = 0;
    uint64_t own_before = cpu_time(CLOCK_PROCESS_CPUTIME_ID), their_before = cpu_time(theirs);
    window_run(window, clock_now() + duration);
    double own = (double)(cpu_time(CLOCK_PROCESS_CPUTIME_ID) - own_before);
    double their = (double)(cpu_time(theirs) - their_before);
    double per = 1 / (double)window->signatures;
    printf("{\"signatures\":%llu,\"requests_per_write\":%.1f,\"client_us\":%.3f,"
           "\"immured_us\":%.3f",
           (unsigned long long)window->signatures,
           (double)window->signatures / (double)window->writes, own * per / (double)NS_PER_US,
           their * per / (double)NS_PER_US);
    if (size == 1)
        printf(",\"round_trip_us\":%.3f", (double)undisturbed(trips) / (double)NS_PER_US);
    printf("}\n");
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: %s IMMURED KEY SCHEME BACKEND WINDOW SECONDS\n", argv[0]);
        return 2;
    }
    long scheme = strtol(argv[3], NULL, 0), window = strtol(argv[5], NULL, 10);
    double seconds = strtod(argv[6], NULL);
    if (window < 1 || window > WINDOW_MAX || !(seconds > 0 && seconds < 3600))
        window_fail("arguments", "WINDOW is 1 to 4096, SECONDS up to 3600");

    char config[1024];
    snprintf(config, sizeof config,
             "threads = 1\nlog-level = warning\nbackend = \"%s\"\nkey \"one\" { file = \"%s\" }\n",
             argv[4], argv[2]);
    struct immure_spawn_options options = {
        .program = argv[1], .config = config, .listener = -1, .socket_pair = true};
    static struct round_trips trips;
    pid_t immured;
    int socket;
    if (immure_spawn(&options, &immured, &socket) != IMMURE_OK)
        window_fail(argv[1], strerror(errno));
    window_begin(&trips.window, socket, NULL, (uint16_t)scheme);
    adapter_begin(&trips.window, (size_t)window);
    trips.window.due = (unsigned)window;
    trips.window.answered = answered;
    measure(&trips, immured, window, (uint64_t)(seconds * (double)NS_PER_S));

    close(socket);
    kill(immured, SIGTERM);
    waitpid(immured, NULL, 0);
    return EXIT_SUCCESS;
}
