/*
 * What a signature costs, or, against an immured whose signatures cost nothing (the backend
 * "replay" of bench-immured-replay), the way to it: an event loop of libimmure with a window of
 * requests, all that are due in one write.
 *
 *     bench-exchange IMMURED KEY SCHEME BACKEND WINDOW SECONDS
 *
 * SCHEME is the number of a TLS SignatureScheme. Prints one JSON object: signatures,
 * requests_per_write, client_us and immured_us (CPU time of a signature: user and system, all
 * threads), and with a window of 1 round_trip_us (median).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "immure/client.h"
#include "immure/spawn.h"

#define WARMUP (NS_PER_S / 2)
#define WINDOW_MAX 4096
#define ROUND_TRIPS_MAX (1 << 20)
#define UNDISTURBED 20 /* one in so many is taken to be */

struct exchange {
    struct immure_client *client;
    int socket;
    uint8_t key_id[IMMURE_KEY_ID_SIZE];
    uint16_t scheme;
    bool key_known;
    unsigned due; /* requests to be made in this turn */
    uint64_t signatures, writes;
    uint64_t asked_at;                     /* the last request */
    uint64_t round_trips[ROUND_TRIPS_MAX]; /* ns, since the last request */
    size_t round_trip_count;
};

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench-exchange: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void key_listed(void *arg, const struct immure_key *key, enum immure_error error)
{
    struct exchange *exchange = arg;
    if (error != IMMURE_OK)
        fail("list", immure_error_text(error));
    if (key) {
        memcpy(exchange->key_id, key->id, sizeof exchange->key_id);
        exchange->key_known = true;
    }
}

static void signed_one(void *arg, const struct immure_signature *signature)
{
    struct exchange *exchange = arg;
    if (signature->error != IMMURE_OK)
        fail("sign", signature->error_text);
    exchange->signatures++;
    exchange->due++;
    if (exchange->round_trip_count < ROUND_TRIPS_MAX)
        exchange->round_trips[exchange->round_trip_count++] = clock_now() - exchange->asked_at;
}

/* What a server signs in TLS 1.3 (RFC 8446, section 4.4.3), the transcript hash being zero. */
static void ask(struct exchange *exchange)
{
    static const char context[] = "TLS 1.3, server CertificateVerify";
    static uint8_t message[64 + sizeof context + 32];
    memset(message, ' ', 64);
    memcpy(message + 64, context, sizeof context);
    struct immure_sign_request request = {
        .scheme = exchange->scheme, .message = message, .message_length = sizeof message};
    memcpy(request.key_id, exchange->key_id, sizeof request.key_id);
    for (; exchange->due > 0; exchange->due--) {
        exchange->asked_at = clock_now();
        enum immure_error error =
            immure_sign(exchange->client, &request, signed_one, exchange, NULL);
        if (error != IMMURE_OK)
            fail("sign", immure_error_text(error));
    }
}

/* One turn of the event loop: send what is due, wait, take what has come. */
static void turn(struct exchange *exchange)
{
    static uint8_t room[65536];
    const void *data;
    size_t length;
    while ((length = immure_client_output(exchange->client, &data, clock_now())) > 0) {
        ssize_t sent = send(exchange->socket, data, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0)
            fail("send", strerror(errno));
        immure_client_sent(exchange->client, (size_t)sent);
        exchange->writes++;
    }
    poll(&(struct pollfd){.fd = exchange->socket,
                          .events = (short)(length > 0 ? POLLIN | POLLOUT : POLLIN)},
         1, -1);
    ssize_t received = recv(exchange->socket, room, sizeof room, 0);
    if (received < 0 && errno == EAGAIN)
        return;
    if (received <= 0)
        fail("immured", received == 0 ? "it ended" : strerror(errno));
    enum immure_error error =
        immure_client_receive(exchange->client, room, (size_t)received, clock_now());
    if (error != IMMURE_OK)
        fail("receive", immure_error_text(error));
}

static uint64_t cpu_time(clockid_t clock)
{
    struct timespec time;
    if (clock_gettime(clock, &time) != 0)
        fail("clock_gettime", strerror(errno));
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static void turns_until(struct exchange *exchange, uint64_t end)
{
    while (clock_now() < end) {
        ask(exchange);
        turn(exchange);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* A round trip as short as the shortest twentieth: whatever else runs makes the others longer. */
static uint64_t undisturbed(struct exchange *exchange)
{
    qsort(exchange->round_trips, exchange->round_trip_count, sizeof(uint64_t), compare);
    return exchange->round_trips[exchange->round_trip_count / UNDISTURBED];
}

static void measure(struct exchange *exchange, pid_t immured, long window, uint64_t duration)
{
    clockid_t theirs;
    if (clock_getcpuclockid(immured, &theirs) != 0)
        fail("immured", "its CPU time cannot be read");
    turns_until(exchange, clock_now() + WARMUP);
    exchange->signatures = exchange->writes = 0;
    exchange->round_trip_count = 0;
    uint64_t own_before = cpu_time(CLOCK_PROCESS_CPUTIME_ID), their_before = cpu_time(theirs);
    turns_until(exchange, clock_now() + duration);
    double own = (double)(cpu_time(CLOCK_PROCESS_CPUTIME_ID) - own_before);
    double their = (double)(cpu_time(theirs) - their_before);
    double per = 1 / (double)exchange->signatures;
    printf("{\"signatures\":%llu,\"requests_per_write\":%.1f,\"client_us\":%.3f,"
           "\"immured_us\":%.3f",
           (unsigned long long)exchange->signatures,
           (double)exchange->signatures / (double)exchange->writes, own * per / (double)NS_PER_US,
           their * per / (double)NS_PER_US);
    if (window == 1)
        printf(",\"round_trip_us\":%.3f", (double)undisturbed(exchange) / (double)NS_PER_US);
    printf("}\n");
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: bench-exchange IMMURED KEY SCHEME BACKEND WINDOW SECONDS\n");
        return 2;
    }
    long scheme = strtol(argv[3], NULL, 0), window = strtol(argv[5], NULL, 10);
    double seconds = strtod(argv[6], NULL);
    if (window < 1 || window > WINDOW_MAX || !(seconds > 0 && seconds < 3600))
        fail("arguments", "WINDOW is 1 to 4096, SECONDS up to 3600");

    char config[1024];
    snprintf(config, sizeof config,
             "threads = 1\nlog-level = warning\nbackend = \"%s\"\nkey \"one\" { file = \"%s\" }\n",
             argv[4], argv[2]);
    struct immure_spawn_options options = {
        .program = argv[1], .config = config, .listener = -1, .socket_pair = true};
    static struct exchange exchange;
    exchange.client = immure_client_new(NULL);
    exchange.scheme = (uint16_t)scheme;
    pid_t immured;
    if (exchange.client == NULL || immure_spawn(&options, &immured, &exchange.socket) != IMMURE_OK)
        fail(argv[1], strerror(errno));

    immure_list(exchange.client, key_listed, &exchange, NULL);
    while (!exchange.key_known)
        turn(&exchange);
    exchange.due = (unsigned)window;
    measure(&exchange, immured, window, (uint64_t)(seconds * (double)NS_PER_S));

    close(exchange.socket);
    kill(immured, SIGTERM);
    waitpid(immured, NULL, 0);
    return EXIT_SUCCESS;
}
