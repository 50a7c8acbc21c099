/*
 * A client that causes work for a TLS server, in one of the ways below, on several connections for
 * some seconds; it reopens connections that the server closes. At the end it prints one JSON
 * object: what it sent and how often it was disconnected. See test_hostile_records.py and
 * `script/bench --only hostile`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "raw_records.h"

#define CONNECTIONS_MAX 1024
#define CHUNK 65536     /* of records that are made before they are sent */
#define RECORD_MAX 1024 /* content of one */
#define HELLO_SIZE 131000
#define CUT_PAUSE_MS 5 /* before it is opened again */

struct client {
    int descriptor; /* -1: not connected */
    bool encrypted;
    struct raw_records records;
    uint8_t chunk[CHUNK + RECORD_MAX + RAW_RECORD_OVERHEAD];
    size_t length, sent;  /* of the chunk */
    unsigned long number; /* of the record within the connection */
    uint64_t open_at;     /* ms */
    bool shut, ended;     /* it has said all, and the server has, too */
};

struct way {
    const char *name, *text;
    /* Appends one record to the chunk. NULL: `unencrypted` does. */
    size_t (*write)(struct client *client, uint8_t *out);
    int version;      /* 0: both */
    bool unencrypted; /* without a handshake */
    bool reads_nothing;
    bool leaves;  /* after one ClientHello */
    bool replays; /* the same, when the server has answered it: by a reset, and at once again */
};

static struct {
    const struct way *way;
    int port, version;
    SSL_CTX *context;
    unsigned long records, bytes, opened, cut, answered;
    uint8_t hello[HELLO_SIZE + 4];
    uint8_t plain_hello[2048];
    size_t plain_hello_size;
    unsigned long most; /* records of a connection; 0: no end */
} run;

static uint64_t now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "hostile-client: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

/* ---- what can be sent ---- */

static size_t put(struct client *client, uint8_t *out, uint8_t type, const void *content,
                  size_t length)
{
    return raw_records_write(&client->records, out, type, content, length);
}

static size_t update_keys(struct client *client, uint8_t *out, uint8_t requested)
{
    const uint8_t message[] = {SSL3_MT_KEY_UPDATE, 0, 0, 1, requested};
    size_t length = put(client, out, SSL3_RT_HANDSHAKE, message, sizeof message);
    raw_records_update(&client->records);
    return length;
}

static size_t key_updates(struct client *client, uint8_t *out)
{
    return update_keys(client, out, 0);
}

static size_t key_updates_requested(struct client *client, uint8_t *out)
{
    return update_keys(client, out, 1);
}

/* Each byte of the message is a record. */
static size_t key_updates_in_pieces(struct client *client, uint8_t *out)
{
    static const uint8_t message[] = {SSL3_MT_KEY_UPDATE, 0, 0, 1, 0};
    size_t at = client->number % sizeof message;
    size_t length = put(client, out, SSL3_RT_HANDSHAKE, message + at, 1);
    if (at == sizeof message - 1)
        raw_records_update(&client->records);
    return length;
}

static size_t key_updates_with_data(struct client *client, uint8_t *out)
{
    return client->number % 2 == 0 ? put(client, out, SSL3_RT_APPLICATION_DATA, "x", 1)
                                   : update_keys(client, out, 0);
}

static size_t renegotiations(struct client *client, uint8_t *out)
{
    static const uint8_t message[] = {SSL3_MT_CLIENT_HELLO, 0, 0, 0};
    return put(client, out, SSL3_RT_HANDSHAKE, message, sizeof message);
}

static size_t one_byte(struct client *client, uint8_t *out)
{
    return put(client, out, SSL3_RT_APPLICATION_DATA, "x", 1);
}

static size_t no_bytes(struct client *client, uint8_t *out)
{
    return put(client, out, SSL3_RT_APPLICATION_DATA, "", 0);
}

static size_t now_and_then_a_byte(struct client *client, uint8_t *out)
{
    return put(client, out, SSL3_RT_APPLICATION_DATA, "x", client->number % 16 == 0);
}

static size_t warnings(struct client *client, uint8_t *out)
{
    static const uint8_t alert[] = {SSL3_AL_WARNING, SSL_AD_USER_CANCELLED};
    return put(client, out, SSL3_RT_ALERT, alert, sizeof alert);
}

static size_t requests(struct client *client, uint8_t *out)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    return put(client, out, SSL3_RT_APPLICATION_DATA, request, sizeof request - 1);
}

/* A ClientHello as long as libssl takes one, and each of its bytes a record. */
static size_t hello_bytes(struct client *client, uint8_t *out)
{
    const uint8_t header[] = {SSL3_RT_HANDSHAKE, 3, 1, 0, 1};
    memcpy(out, header, sizeof header);
    out[sizeof header] = run.hello[client->number % sizeof run.hello];
    return sizeof header + 1;
}

/* TLS 1.3 servers ignore them, for compatibility with middleboxes: RFC 8446, appendix D.4. */
static size_t cipher_changes(struct client *client, uint8_t *out)
{
    static const uint8_t record[] = {SSL3_RT_CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1};
    if (client->number == 0) {
        memcpy(out, run.plain_hello, run.plain_hello_size);
        return run.plain_hello_size;
    }
    memcpy(out, record, sizeof record);
    return sizeof record;
}

static size_t plain_warnings(struct client *client, uint8_t *out)
{
    static const uint8_t record[] = {SSL3_RT_ALERT,           3, 1, 0, 2, SSL3_AL_WARNING,
                                     SSL_AD_UNRECOGNIZED_NAME};
    (void)client;
    memcpy(out, record, sizeof record);
    return sizeof record;
}

static size_t plain_hello(struct client *client, uint8_t *out)
{
    (void)client;
    memcpy(out, run.plain_hello, run.plain_hello_size);
    return run.plain_hello_size;
}

static const struct way ways[] = {
    {"key-updates", "KeyUpdate, none requested", key_updates, .version = TLS1_3_VERSION},
    {"key-updates-requested", "KeyUpdate, and one requested", key_updates_requested,
     .version = TLS1_3_VERSION},
    {"key-updates-in-pieces", "KeyUpdate in records of one byte", key_updates_in_pieces,
     .version = TLS1_3_VERSION},
    {"key-updates-with-data", "KeyUpdate, and a byte of data after each", key_updates_with_data,
     .version = TLS1_3_VERSION},
    {"renegotiations", "ClientHello after the handshake", renegotiations,
     .version = TLS1_2_VERSION},
    {"one-byte", "data in records of one byte", one_byte, .version = 0},
    {"no-bytes", "records without data", no_bytes, .version = 0},
    {"now-and-then-a-byte", "15 records without data, then a byte", now_and_then_a_byte,
     .version = 0},
    {"warnings", "alerts of the level warning", warnings, .version = 0},
    {"slow-reader", "requests whose answers are not read", requests, .reads_nothing = true},
    {"hello-bytes", "a ClientHello of 131 KB in records of one byte", hello_bytes,
     .unencrypted = true},
    {"cipher-changes", "a ClientHello, then ChangeCipherSpec", cipher_changes, .unencrypted = true},
    {"plain-warnings", "warnings before the handshake", plain_warnings, .unencrypted = true},
    {"leavers", "a ClientHello, and gone", plain_hello, .unencrypted = true, .leaves = true},
    {"replays", "a ClientHello, and a reset when the server has answered", plain_hello,
     .unencrypted = true, .replays = true},
};

static void print_ways(FILE *out)
{
    fprintf(out, "hostile-client PORT WAY [--connections N] [--seconds S] [--records N] "
                 "[--tls 1.2|1.3]\n\n");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        fprintf(out, "  %-22s %s%s\n", ways[i].name, ways[i].text,
                ways[i].version == TLS1_2_VERSION   ? " (TLS 1.2)"
                : ways[i].version == TLS1_3_VERSION ? " (TLS 1.3)"
                                                    : "");
}

/* ---- connections ---- */

static void note_cut(struct client *client)
{
    run.cut++;
    close(client->descriptor);
    client->descriptor = -1;
    raw_records_close(&client->records);
    client->open_at = now_ms() + CUT_PAUSE_MS;
}

static bool shake_hands(struct client *client)
{
    SSL *ssl = SSL_new(run.context);
    bool good = ssl != NULL && SSL_set_app_data(ssl, client->records.secret) == 1 &&
                SSL_set_fd(ssl, client->descriptor) == 1 && SSL_connect(ssl) == 1;
    if (good)
        raw_records_open(&client->records, ssl);
    if (ssl != NULL)
        SSL_set_quiet_shutdown(ssl, 1);
    SSL_free(ssl); /* the descriptor stays open: BIO_NOCLOSE is SSL_set_fd()'s */
    return good;
}

static void open_client(struct client *client)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)run.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    client->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->descriptor < 0)
        fail("socket");
    setsockopt(client->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    client->length = client->sent = client->number = 0;
    client->shut = false;
    if (connect(client->descriptor, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect");
    if (!run.way->unencrypted && !shake_hands(client)) {
        note_cut(client);
        return;
    }
    run.opened++;
    fcntl(client->descriptor, F_SETFL, O_NONBLOCK);
}

static bool one_hello(void)
{
    return run.way->leaves || run.way->replays;
}

/* Makes a whole chunk of records at a time, so that libcrypto does not limit the rate. */
static void fill(struct client *client)
{
    client->length = client->sent = 0;
    while (client->length < CHUNK && (run.most == 0 || client->number < run.most)) {
        client->length += run.way->write(client, client->chunk + client->length);
        client->number++;
        run.records++;
    }
}

static void replay(struct client *client)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(client->descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(client->descriptor);
    client->descriptor = -1;
    client->open_at = 0;
    run.answered++;
}

/* False: the server has ended it. */
static bool drain(struct client *client)
{
    static char room[65536];
    ssize_t got;
    do
        got = recv(client->descriptor, room, sizeof room, 0);
    while (got > 0);
    return got < 0 && (errno == EAGAIN || errno == EINTR);
}

static bool push(struct client *client)
{
    if (client->sent == client->length)
        fill(client);
    if (client->length == 0)
        return true;
    ssize_t sent = send(client->descriptor, client->chunk + client->sent,
                        client->length - client->sent, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    client->sent += (size_t)sent;
    run.bytes += (unsigned long)sent;
    return !run.way->leaves;
}

static bool finished(const struct client *client)
{
    return run.most != 0 && client->number >= run.most && client->sent == client->length;
}

/* With --records: the client closes its direction and waits for the server's end, so that a reset
 * loses nothing. True: all connections have ended. */
static bool all_ended(struct client *clients, nfds_t count)
{
    bool ended = !one_hello() && run.most != 0;
    for (nfds_t i = 0; ended && i < count; i++)
        ended = clients[i].ended;
    return ended;
}

static void say_end(struct client *client)
{
    if (one_hello() || !finished(client) || client->shut)
        return;
    shutdown(client->descriptor, SHUT_WR);
    client->shut = true;
}

static void run_until(struct client *clients, nfds_t count, uint64_t end)
{
    struct pollfd polls[CONNECTIONS_MAX];
    while (now_ms() < end && !all_ended(clients, count)) {
        for (nfds_t i = 0; i < count; i++) {
            if (clients[i].descriptor < 0 && !clients[i].ended && clients[i].open_at <= now_ms())
                open_client(&clients[i]);
            polls[i].fd = clients[i].descriptor;
            polls[i].events = (short)((finished(&clients[i]) ? 0 : POLLOUT) |
                                      (run.way->reads_nothing ? 0 : POLLIN));
        }
        if (poll(polls, count, CUT_PAUSE_MS) <= 0)
            continue;
        for (nfds_t i = 0; i < count; i++) {
            bool good = polls[i].fd < 0 || (polls[i].revents & (POLLERR | POLLHUP)) == 0;
            if (good && (polls[i].revents & POLLIN) != 0 && run.way->replays) {
                replay(&clients[i]);
                continue;
            }
            if (good && (polls[i].revents & POLLIN) != 0)
                good = drain(&clients[i]);
            if (good && (polls[i].revents & POLLOUT) != 0)
                good = push(&clients[i]);
            if (good && clients[i].descriptor >= 0)
                say_end(&clients[i]);
            clients[i].ended |= !good && clients[i].shut;
            if (!good && clients[i].descriptor >= 0)
                note_cut(&clients[i]);
        }
    }
}

/* ---- the program ---- */

/* One that libssl makes, to be sent again and again. */
static void make_plain_hello(void)
{
    SSL *ssl = SSL_new(run.context);
    BIO *out = BIO_new(BIO_s_mem());
    if (ssl == NULL || out == NULL)
        fail("libssl");
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    SSL_connect(ssl);
    int length = BIO_read(out, run.plain_hello, sizeof run.plain_hello);
    run.plain_hello_size = length > 0 ? (size_t)length : 0;
    SSL_free(ssl);
}

static void prepare(void)
{
    run.context = SSL_CTX_new(TLS_client_method());
    if (run.context == NULL)
        fail("libssl");
    raw_records_prepare(run.context);
    SSL_CTX_set_min_proto_version(run.context, run.version);
    SSL_CTX_set_max_proto_version(run.context, run.version);
    make_plain_hello();
    run.hello[0] = SSL3_MT_CLIENT_HELLO;
    run.hello[1] = (uint8_t)(HELLO_SIZE >> 16);
    run.hello[2] = (uint8_t)(HELLO_SIZE >> 8 & 0xff);
    run.hello[3] = (uint8_t)(HELLO_SIZE & 0xff);
}

static const struct way *find_way(const char *name)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(ways[i].name, name) == 0)
            return &ways[i];
    return NULL;
}

int main(int argc, char **argv)
{
    long connections = 1;
    double seconds = 1;
    run.way = argc >= 3 ? find_way(argv[2]) : NULL;
    if (run.way == NULL || argc % 2 == 0) {
        print_ways(stderr);
        return 2;
    }
    run.port = atoi(argv[1]);
    run.most = one_hello() ? 1 : 0;
    run.version = run.way->version != 0 ? run.way->version : TLS1_3_VERSION;
    for (int i = 3; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--connections") == 0)
            connections = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--seconds") == 0)
            seconds = atof(argv[i + 1]);
        else if (strcmp(argv[i], "--records") == 0)
            run.most = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--tls") == 0 && run.way->version == 0)
            run.version = strcmp(argv[i + 1], "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    }
    if (connections < 1 || connections > CONNECTIONS_MAX)
        connections = 1;
    struct client *clients = calloc((size_t)connections, sizeof *clients);
    if (clients == NULL)
        fail("memory");
    for (long i = 0; i < connections; i++)
        clients[i].descriptor = -1;
    prepare();
    run_until(clients, (nfds_t)connections, now_ms() + (uint64_t)(seconds * 1000));
    printf("{\"records\": %lu, \"bytes\": %lu, \"opened\": %lu, \"cut\": %lu, "
           "\"answered\": %lu}\n",
           run.records, run.bytes, run.opened, run.cut, run.answered);
    for (long i = 0; i < connections; i++) {
        if (clients[i].descriptor >= 0)
            close(clients[i].descriptor);
        raw_records_close(&clients[i].records);
    }
    SSL_CTX_free(run.context);
    free(clients);
    return EXIT_SUCCESS;
}
