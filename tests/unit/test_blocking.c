/* The blocking exchange over real sockets, with a peer in a thread that can be made to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "client/exchange.h"
#include "immure/blocking.h"
#include "peer.h"
#include "wire/stats.h"

enum habit {
    ANSWER,       /* answers every request */
    HANG_UP,      /* closes as soon as a request has arrived */
    HANG_UP_HALF, /* closes in the middle of the reply */
    SILENT,       /* reads and sends nothing */
    REFUSE,       /* sends an error about the stream */
    CUT,          /* sends a frame whose length is one byte too small */
    STRETCHED,    /* sends a frame whose length is one byte too large */
    DOUBLED,      /* sends the reply twice */
    TALKATIVE,    /* sends junk after the reply */
    LATE,         /* sends junk a moment after the reply */
};

#define LENGTH_LOW 3 /* the low byte of the payload's length in a frame */

/* A server on a unix socket with one habit for each connection; the last habit is also that of all
 * further connections. */
struct server {
    char path[64];
    int listener;
    pthread_t thread;
    const enum habit *habits;
    size_t habit_count;
    atomic_size_t connections;
};

static void answer(struct peer *peer, const struct peer_request *request)
{
    static const uint8_t spki[] = "spki", id[WIRE_KEY_ID_SIZE] = {7};
    struct wire_key key = {
        .id = id, .name = "key", .name_length = 3, .spki = spki, .spki_length = sizeof spki};
    struct wire_figure figure = {WIRE_STAT_KEYS, 3};
    static const uint8_t ticket_key[WIRE_TICKET_KEY_SIZE] = {1, [16] = 2, [48] = 3};
    const struct wire_ticket_keys tickets = {.epoch_seconds = 60,
                                             .time_left = 500,
                                             .epoch = 9,
                                             .current = ticket_key,
                                             .previous = ticket_key};
    size_t put;
    switch (request->type) {
    case WIRE_SIGN:
        if (request->scheme == 0)
            peer_say_error(peer, request->id, IMMURE_E_SCHEME, "no scheme");
        else
            peer_say_signed(peer, request->id, request->message, request->message_length);
        break;
    case WIRE_LIST:
        wire_put_keys(&peer->output, request->id, &key, 1, 0, 1, &put);
        break;
    case WIRE_TICKETS:
        wire_put_ticket_keys(&peer->output, request->id, &tickets);
        break;
    case WIRE_STATS:
        wire_put_figures(&peer->output, request->id, &figure, 1);
        break;
    default:
        wire_put_plain(&peer->output, WIRE_PONG, request->id, "pong", 4);
    }
}

static const uint8_t junk[20] = {0x99};

/* The reply is the output after its first `before` bytes. */
static void spoil(struct peer *peer, enum habit habit, size_t before)
{
    size_t length = buffer_length(&peer->output) - before;
    uint8_t *reply = peer->output.data + peer->output.start + before;
    if (habit == CUT)
        reply[LENGTH_LOW]--;
    if (habit == STRETCHED)
        reply[LENGTH_LOW]++;
    if (habit == DOUBLED) {
        uint8_t copy[256];
        assert_true(length <= sizeof copy);
        memcpy(copy, reply, length);
        assert_true(buffer_append(&peer->output, copy, length));
    }
    if (habit == TALKATIVE)
        assert_true(buffer_append(&peer->output, junk, sizeof junk));
}

static void forget(struct peer *peer)
{
    for (size_t i = 0; i < peer->count; i++)
        free(peer->requests[i].message);
    peer->count = 0;
}

/* False: the connection must be closed. */
static bool react(struct peer *peer, int connection, enum habit habit)
{
    if (peer->count == 0 || habit == SILENT)
        return true;
    if (habit == HANG_UP)
        return false;
    if (habit == REFUSE)
        peer_say_error(peer, 0, IMMURE_E_PEER, "not you");
    for (size_t i = 0; i < peer->count && habit != REFUSE; i++) {
        size_t before = buffer_length(&peer->output);
        answer(peer, &peer->requests[i]);
        spoil(peer, habit, before);
    }
    forget(peer);
    size_t length = buffer_length(&peer->output);
    if (habit == HANG_UP_HALF)
        length -= 3;
    bool sent = send(connection, buffer_bytes(&peer->output), length, MSG_NOSIGNAL) > 0;
    buffer_consume(&peer->output, length);
    if (habit == LATE) {
        poll(NULL, 0, 20); /* until the reply has been taken */
        send(connection, junk, sizeof junk, MSG_NOSIGNAL);
    }
    return sent && habit != HANG_UP_HALF;
}

static void serve(int connection, enum habit habit)
{
    struct peer peer;
    peer_init(&peer, 100);
    uint8_t input[4096];
    ssize_t length;
    bool alive = true;
    while (alive && (length = recv(connection, input, sizeof input, 0)) > 0) {
        peer_receive(&peer, input, (size_t)length);
        alive = react(&peer, connection, habit);
    }
    peer_release(&peer);
    close(connection);
}

static void *serve_all(void *arg)
{
    struct server *server = arg;
    int connection;
    while ((connection = accept(server->listener, NULL, NULL)) >= 0) {
        size_t number = atomic_fetch_add(&server->connections, 1);
        size_t last = server->habit_count - 1;
        serve(connection, server->habits[number < last ? number : last]);
    }
    return NULL;
}

static void server_listen(struct server *server, const struct sockaddr_un *address, size_t length)
{
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (const struct sockaddr *)address, (socklen_t)length),
                     0);
    assert_int_equal(listen(server->listener, 5), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, serve_all, server), 0);
}

static void server_begin(struct server *server, const enum habit *habits, size_t count)
{
    *server = (struct server){.habits = habits, .habit_count = count};
    snprintf(server->path, sizeof server->path, "/tmp/immure-test-blocking.%d", (int)getpid());
    unlink(server->path);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, server->path);
    server_listen(server, &address, sizeof address);
}

static void server_begin_abstract(struct server *server, const enum habit *habits)
{
    *server = (struct server){.habits = habits, .habit_count = 1};
    int length = snprintf(server->path, sizeof server->path, "@immure-test.%d", (int)getpid());
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, server->path + 1, (size_t)length - 1);
    server_listen(server, &address, offsetof(struct sockaddr_un, sun_path) + (size_t)length);
}

static void server_end(struct server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    close(server->listener);
    unlink(server->path);
}

static const uint8_t message[] = "message";

struct told {
    size_t keys, ends, stats;
    enum immure_error error;
};

static void on_end(void *arg, const struct immure_reply *reply)
{
    struct told *told = arg;
    told->ends++;
    told->error = reply->error;
    assert_non_null(reply->error_text);
}

static void on_signed(void *arg, const struct immure_reply *reply)
{
    on_end(arg, reply);
    if (reply->error == IMMURE_OK) {
        assert_int_equal(reply->output_length, sizeof message);
        assert_memory_equal(reply->output, message, sizeof message);
        assert_string_equal(reply->backend, "test");
        assert_int_equal(reply->queue_ns, 11);
    }
}

static void on_key(void *arg, const struct immure_reply *reply)
{
    struct told *told = arg;
    if (reply->key != NULL) {
        told->keys++;
        assert_string_equal(reply->key->name, "key");
        assert_int_equal(reply->key->id[0], 7);
    } else {
        on_end(arg, reply);
    }
}

static void on_stats(void *arg, const struct immure_reply *reply)
{
    struct told *told = arg;
    on_end(arg, reply);
    told->stats = reply->stat_count;
    if (reply->stat_count > 0)
        assert_string_equal(reply->stats[0].name, "keys");
}

static void on_ticket_keys(void *arg, const struct immure_reply *reply)
{
    const struct immure_ticket_keys *keys = reply->ticket_keys;
    on_end(arg, reply);
    if (reply->error != IMMURE_OK)
        return;
    assert_int_equal(keys->epoch, 9);
    assert_int_equal(keys->epoch_ns, 60 * NS_PER_S);
    assert_int_equal(keys->time_left_ns, 500 * NS_PER_MS);
    assert_int_equal(keys->current->name[0], 1);
    assert_int_equal(keys->current->cipher[0], 2);
    assert_int_equal(keys->previous->mac[0], 3);
}

/* A request without input. */
static enum immure_error ask(struct immure_blocking *blocking, enum immure_operation operation,
                             uint64_t timeout, immure_callback *callback, struct told *told)
{
    const struct immure_request request = {
        .operation = operation, .callback = callback, .arg = told};
    return immure_blocking_request(blocking, &request, timeout);
}

static struct immure_request sign_request(struct told *told)
{
    return (struct immure_request){.operation = IMMURE_SIGN,
                                   .scheme = IMMURE_ED25519,
                                   .input = message,
                                   .input_length = sizeof message,
                                   .callback = on_signed,
                                   .arg = told};
}

static enum immure_error sign(struct immure_blocking *blocking, uint64_t timeout)
{
    struct told told = {0};
    const struct immure_request request = sign_request(&told);
    enum immure_error error = immure_blocking_request(blocking, &request, timeout);
    assert_int_equal(told.ends, 1);
    assert_int_equal(told.error, error);
    return error;
}

static void test_each_request(void **state)
{
    (void)state;
    static const enum habit habits[] = {ANSWER};
    struct server server;
    server_begin(&server, habits, 1);
    struct immure_blocking *blocking = immure_blocking_unix(server.path);
    assert_non_null(blocking);
    for (int i = 0; i < 100; i++)
        assert_int_equal(sign(blocking, 10 * NS_PER_S), IMMURE_OK);
    struct told list = {0}, stats = {0}, tickets = {0};
    assert_int_equal(ask(blocking, IMMURE_LIST, 10 * NS_PER_S, on_key, &list), IMMURE_OK);
    assert_int_equal(list.keys, 1);
    assert_int_equal(list.ends, 1);
    assert_int_equal(ask(blocking, IMMURE_STATS, 10 * NS_PER_S, on_stats, &stats), IMMURE_OK);
    assert_int_equal(stats.ends, 1);
    assert_int_equal(stats.stats, 1);
    assert_int_equal(ask(blocking, IMMURE_TICKET_KEYS, 10 * NS_PER_S, on_ticket_keys, &tickets),
                     IMMURE_OK);
    assert_int_equal(tickets.ends, 1);
    assert_int_equal(ask(blocking, IMMURE_PING, 10 * NS_PER_S, NULL, NULL), IMMURE_OK);

    struct told refused = {0};
    struct immure_request wrong = sign_request(&refused);
    wrong.scheme = 0;
    assert_int_equal(immure_blocking_request(blocking, &wrong, NS_PER_S), IMMURE_E_SCHEME);
    wrong.input_length = 0;
    assert_int_equal(immure_blocking_request(blocking, &wrong, NS_PER_S), IMMURE_E_ARGUMENT);
    assert_int_equal(refused.ends, 2);
    assert_int_equal(refused.error, IMMURE_E_ARGUMENT);
    wrong = sign_request(&refused);
    wrong.deadline = 1; /* earlier than the time limit */
    assert_int_equal(immure_blocking_request(blocking, &wrong, 10 * NS_PER_S), IMMURE_E_TIMEOUT);
    assert_int_equal(refused.error, IMMURE_E_TIMEOUT);
    immure_blocking_free(blocking);
    server_end(&server);
    assert_int_equal(server.connections, 1);
}

static void test_lost_connections_are_replaced(void **state)
{
    (void)state;
    static const enum habit habits[] = {HANG_UP, HANG_UP_HALF, HANG_UP, HANG_UP, ANSWER};
    struct server server;
    server_begin(&server, habits, 5);
    struct immure_blocking *blocking = immure_blocking_unix(server.path);
    assert_int_equal(sign(blocking, 10 * NS_PER_S), IMMURE_OK);
    assert_int_equal(server.connections, 5);
    assert_int_equal(sign(blocking, 10 * NS_PER_S), IMMURE_OK);
    assert_int_equal(server.connections, 5);
    immure_blocking_free(blocking);
    server_end(&server);
}

/* A server that accepts, greets and disconnects is not retried more often than one that is not
 * there. */
static void test_back_off(void **state)
{
    (void)state;
    static const enum habit habits[] = {HANG_UP_HALF};
    struct server server;
    server_begin(&server, habits, 1);
    struct immure_blocking *blocking = immure_blocking_unix(server.path);
    assert_int_equal(sign(blocking, 400 * NS_PER_MS), IMMURE_E_TIMEOUT);
    assert_in_range(server.connections, 2, 20);
    immure_blocking_free(blocking);
    server_end(&server);
}

static void test_time_limit(void **state)
{
    (void)state;
    static const enum habit habits[] = {SILENT};
    struct server server;
    server_begin(&server, habits, 1);
    struct immure_blocking *blocking = immure_blocking_unix(server.path);
    uint64_t begun = clock_now();
    assert_int_equal(sign(blocking, 50 * NS_PER_MS), IMMURE_E_TIMEOUT);
    assert_int_equal(ask(blocking, IMMURE_PING, 50 * NS_PER_MS, NULL, NULL), IMMURE_E_TIMEOUT);
    struct told told = {0};
    assert_int_equal(ask(blocking, IMMURE_LIST, 50 * NS_PER_MS, on_key, &told), IMMURE_E_TIMEOUT);
    assert_int_equal(told.ends, 1);
    assert_int_equal(told.error, IMMURE_E_TIMEOUT);
    uint64_t took = clock_now() - begun;
    assert_true(took >= 150 * NS_PER_MS);
    assert_true(took < 5 * NS_PER_S);
    immure_blocking_free(blocking);
    server_end(&server);
}

static void test_refused_by_the_peer(void **state)
{
    (void)state;
    static const enum habit habits[] = {REFUSE, ANSWER};
    struct server server;
    server_begin(&server, habits, 2);
    struct immure_blocking *blocking = immure_blocking_unix(server.path);
    assert_int_equal(sign(blocking, 5 * NS_PER_S), IMMURE_E_PEER);
    assert_int_equal(sign(blocking, 5 * NS_PER_S), IMMURE_OK);
    immure_blocking_free(blocking);
    server_end(&server);
}

/* However a reply breaks the stream, its remains are not taken for the reply to the next
 * request. */
static void test_broken_streams(void **state)
{
    (void)state;
    static const struct {
        enum habit habit;
        enum immure_error error; /* the result of the request that met this habit */
        size_t connections;      /* their number when the next request has been answered */
    } cases[] = {
        {CUT, IMMURE_OK, 2},           {STRETCHED, IMMURE_E_TIMEOUT, 2},
        {SILENT, IMMURE_E_TIMEOUT, 2}, {TALKATIVE, IMMURE_OK, 2},
        {LATE, IMMURE_OK, 2},          {DOUBLED, IMMURE_OK, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const enum habit habits[] = {cases[i].habit, ANSWER};
        struct server server;
        server_begin(&server, habits, 2);
        struct immure_blocking *blocking = immure_blocking_unix(server.path);
        assert_int_equal(ask(blocking, IMMURE_PING, 200 * NS_PER_MS, NULL, NULL), cases[i].error);
        poll(NULL, 0, 50); /* by now the late junk has arrived */
        assert_int_equal(sign(blocking, 5 * NS_PER_S), IMMURE_OK);
        assert_int_equal(sign(blocking, 5 * NS_PER_S), IMMURE_OK);
        assert_int_equal(server.connections, cases[i].connections);
        immure_blocking_free(blocking);
        server_end(&server);
    }
}

static int connect_refused(void *arg)
{
    struct peer peer;
    int ends[2];
    (void)arg;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    peer_init(&peer, 100);
    peer_say_error(&peer, 0, IMMURE_E_PEER, "not you");
    size_t length = buffer_length(&peer.output);
    assert_int_equal(send(ends[1], buffer_bytes(&peer.output), length, 0), length);
    peer_release(&peer);
    close(ends[1]);
    return ends[0];
}

/* The server closes the connection before the first byte is sent. */
static void test_refused_before_the_first_byte(void **state)
{
    (void)state;
    struct immure_blocking *blocking = immure_blocking_new(connect_refused, NULL);
    assert_int_equal(sign(blocking, 5 * NS_PER_S), IMMURE_E_PEER);
    immure_blocking_free(blocking);
}

static void test_nobody_there(void **state)
{
    (void)state;
    struct immure_blocking *blocking = immure_blocking_unix("/tmp/immure-test-nobody-there");
    uint64_t begun = clock_now();
    assert_int_equal(sign(blocking, 30 * NS_PER_MS), IMMURE_E_IO);
    assert_int_equal(errno, ENOENT);
    assert_true(clock_now() - begun >= 30 * NS_PER_MS);
    immure_blocking_free(blocking);
    immure_blocking_free(NULL);

    char path[200];
    memset(path, 'x', sizeof path);
    path[108] = '\0';
    assert_null(immure_blocking_unix(path));
    assert_int_equal(errno, ENAMETOOLONG);
    path[107] = '\0';
    blocking = immure_blocking_unix(path);
    assert_non_null(blocking);
    immure_blocking_free(blocking);
}

static int fail_some_times(void *arg)
{
    struct server *server = arg;
    static int attempts;
    if (++attempts < 4) {
        errno = ECONNREFUSED;
        return -1;
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, server->path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* a blocking one */
    assert_int_equal(connect(descriptor, (const struct sockaddr *)&address, sizeof address), 0);
    return descriptor;
}

static void test_own_way_to_connect(void **state)
{
    (void)state;
    static const enum habit habits[] = {ANSWER};
    struct server server;
    server_begin(&server, habits, 1);
    struct immure_blocking *blocking = immure_blocking_new(fail_some_times, &server);
    assert_int_equal(sign(blocking, 5 * NS_PER_S), IMMURE_OK);
    immure_blocking_free(blocking);
    server_end(&server);
}

/* A child opens its own connection, and the parent's stays usable. */
static void test_fork(void **state)
{
    (void)state;
    static const enum habit habits[] = {ANSWER};
    struct server server;
    server_begin(&server, habits, 1);
    struct immure_blocking *blocking = immure_blocking_unix(server.path);
    assert_int_equal(sign(blocking, 10 * NS_PER_S), IMMURE_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* The parent's thread serves one connection at a time, so a request on a new connection
         * gets no answer; one on the parent's connection would. */
        _exit(ask(blocking, IMMURE_PING, 100 * NS_PER_MS, NULL, NULL) == IMMURE_E_TIMEOUT ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(sign(blocking, 10 * NS_PER_S), IMMURE_OK);
    immure_blocking_free(blocking);
    server_end(&server);
}

/* For a daemon that closes its standard streams and still writes to them. */
static void test_no_number_of_a_stream(void **state)
{
    (void)state;
    static const enum habit habits[] = {ANSWER};
    struct server server;
    server_begin(&server, habits, 1);
    struct immure_blocking *blocking = immure_blocking_unix(server.path);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (int stream = 0; stream <= STDERR_FILENO; stream++)
            close(stream);
        bool good = ask(blocking, IMMURE_PING, 10 * NS_PER_S, NULL, NULL) == IMMURE_OK;
        for (int stream = 0; stream <= STDERR_FILENO; stream++)
            good &= write(stream, "said", 4) < 0 && errno == EBADF;
        _exit(good ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    immure_blocking_free(blocking);
    server_end(&server);
}

/* The application closes descriptors that it does not know, and reuses their numbers for its own
 * files. */
static void test_reused_descriptors(void **state)
{
    (void)state;
    static const enum habit habits[] = {ANSWER};
    struct server server;
    server_begin(&server, habits, 1);
    struct immure_blocking *blocking = immure_blocking_unix(server.path);
    assert_int_equal(sign(blocking, 10 * NS_PER_S), IMMURE_OK);
    int number = blocking->socket, other = descriptor_of_bytes("other", "123", 3);
    assert_int_equal(dup2(other, number), number);
    close(other);
    assert_int_equal(sign(blocking, 10 * NS_PER_S), IMMURE_OK);
    assert_int_equal(server.connections, 2);
    assert_int_not_equal(blocking->socket, number);

    /* Another socket, into which the request could be written by mistake. */
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(dup2(ends[0], blocking->socket), blocking->socket);
    assert_int_equal(sign(blocking, 10 * NS_PER_S), IMMURE_OK);
    assert_int_equal(server.connections, 3);
    char byte;
    assert_int_equal(recv(ends[1], &byte, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);

    int last = blocking->socket;
    assert_int_equal(dup2(number, last), last);
    immure_blocking_free(blocking);
    assert_int_equal(lseek(number, 0, SEEK_CUR), 0);
    assert_int_equal(lseek(last, 0, SEEK_CUR), 0);
    close(number);
    close(last);
    close(ends[0]);
    close(ends[1]);
    server_end(&server);
}

static void test_user_who_listens(void **state)
{
    (void)state;
    static const enum habit habits[] = {ANSWER};
    struct server server;
    server_begin_abstract(&server, habits);
    struct immure_blocking *blocking = immure_blocking_unix(server.path);
    immure_blocking_demand_user(blocking, getuid());
    assert_int_equal(sign(blocking, 10 * NS_PER_S), IMMURE_OK);
    immure_blocking_free(blocking);

    blocking = immure_blocking_unix(server.path);
    immure_blocking_demand_user(blocking, getuid() + 1);
    uint64_t begun = clock_now();
    assert_int_equal(sign(blocking, 60 * NS_PER_S), IMMURE_E_LISTENER);
    assert_true(clock_now() - begun < 30 * NS_PER_S);
    immure_blocking_free(blocking);
    server_end(&server);
}

static int fail_with(void *arg)
{
    errno = *(const int *)arg;
    return -1;
}

/* Errors that waiting cannot cure are reported at once, others after the timeout. */
static void test_permanent_failures(void **state)
{
    (void)state;
    static const struct {
        int reason;
        bool stays;
    } cases[] = {{EACCES, true},        {EAFNOSUPPORT, true}, {ENOTDIR, true},
                 {ELOOP, true},         {ENAMETOOLONG, true}, {EPROTOTYPE, true},
                 {ECONNREFUSED, false}, {ENOENT, false},      {EAGAIN, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int reason = cases[i].reason;
        struct immure_blocking *blocking = immure_blocking_new(fail_with, &reason);
        uint64_t limit = cases[i].stays ? 60 * NS_PER_S : 30 * NS_PER_MS, begun = clock_now();
        assert_int_equal(sign(blocking, limit), IMMURE_E_IO);
        assert_int_equal(errno, reason);
        assert_int_equal(clock_now() - begun < limit / 2, cases[i].stays);
        immure_blocking_free(blocking);
    }
    struct immure_blocking *blocking = immure_blocking_unix("/dev/null/immured.sock");
    assert_int_equal(sign(blocking, 60 * NS_PER_S), IMMURE_E_IO);
    assert_int_equal(errno, ENOTDIR);
    immure_blocking_free(blocking);
}

static void test_abstract_socket(void **state)
{
    (void)state;
    static const enum habit habits[] = {ANSWER};
    struct server server;
    server_begin_abstract(&server, habits);
    struct immure_blocking *blocking = immure_blocking_unix(server.path);
    assert_int_equal(sign(blocking, 10 * NS_PER_S), IMMURE_OK);
    immure_blocking_free(blocking);
    server_end(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_request),
        cmocka_unit_test(test_abstract_socket),
        cmocka_unit_test(test_lost_connections_are_replaced),
        cmocka_unit_test(test_back_off),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_refused_by_the_peer),
        cmocka_unit_test(test_broken_streams),
        cmocka_unit_test(test_refused_before_the_first_byte),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_own_way_to_connect),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_no_number_of_a_stream),
        cmocka_unit_test(test_reused_descriptors),
        cmocka_unit_test(test_user_who_listens),
        cmocka_unit_test(test_permanent_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
