#include "fake_immured.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS_MAX 32

struct connections {
    struct pollfd events[1 + CONNECTIONS_MAX]; /* the listener is the first */
    struct peer peers[1 + CONNECTIONS_MAX];
    size_t count;
};

static void list(const struct fake_immured *immured, struct peer *peer, uint64_t id)
{
    struct wire_key rows[8];
    assert_true(immured->key_count <= sizeof rows / sizeof rows[0]);
    for (size_t i = 0; i < immured->key_count; i++)
        rows[i] = (struct wire_key){.id = immured->keys[i].id,
                                    .name = immured->keys[i].label,
                                    .name_length = strlen(immured->keys[i].label),
                                    .spki = immured->keys[i].spki,
                                    .spki_length = immured->keys[i].spki_length};
    size_t put;
    assert_true(wire_put_keys(&peer->output, id, rows, immured->key_count, 0,
                              (uint32_t)immured->key_count, &put));
}

static void answer(struct fake_immured *immured, struct peer *peer,
                   const struct peer_request *request)
{
    immured->requests++;
    if (immured->silent)
        return;
    if (request->type == WIRE_PING)
        wire_put_plain(&peer->output, WIRE_PONG, request->id, NULL, 0);
    else if (immured->refuses != 0)
        peer_say_error(peer, request->id, (enum immure_error)immured->refuses, "so it is");
    else if (request->type == WIRE_SIGN)
        fake_sign(peer, request, immured->keys, immured->key_count);
    else if (request->type == WIRE_DECRYPT)
        fake_decrypt(peer, request, immured->keys, immured->key_count);
    else if (request->type == WIRE_LIST)
        list(immured, peer, request->id);
}

/* False: the connection has ended. */
static bool exchange(struct fake_immured *immured, int descriptor, struct peer *peer)
{
    uint8_t input[4096];
    ssize_t length = recv(descriptor, input, sizeof input, 0);
    if (length <= 0)
        return false;
    peer_receive(peer, input, (size_t)length);
    for (size_t i = 0; i < peer->count; i++) {
        answer(immured, peer, &peer->requests[i]);
        free(peer->requests[i].message);
    }
    peer->count = 0;
    size_t said = buffer_length(&peer->output);
    bool sent = said == 0 ||
                send(descriptor, buffer_bytes(&peer->output), said, MSG_NOSIGNAL) == (ssize_t)said;
    buffer_clear(&peer->output);
    return sent;
}

static void let_go(struct connections *all, size_t i)
{
    close(all->events[i].fd);
    peer_release(&all->peers[i]);
    all->count--;
    all->events[i] = all->events[all->count];
    all->peers[i] = all->peers[all->count];
}

static void take_one_more(struct fake_immured *immured, struct connections *all)
{
    int descriptor = accept(immured->listener, NULL, NULL);
    assert_true(all->count <= CONNECTIONS_MAX);
    immured->connections++;
    all->events[all->count] = (struct pollfd){.fd = descriptor, .events = POLLIN};
    peer_init(&all->peers[all->count++], 100);
}

static void *serve(void *arg)
{
    struct fake_immured *immured = arg;
    struct connections *all = calloc(1, sizeof *all);
    assert_non_null(all);
    all->events[0] = (struct pollfd){.fd = immured->listener, .events = POLLIN};
    all->count = 1;
    for (;;) {
        assert_true(poll(all->events, all->count, -1) > 0);
        if ((all->events[0].revents & POLLHUP) != 0)
            break;
        for (size_t i = all->count; i-- > 1;)
            if (all->events[i].revents != 0 &&
                !exchange(immured, all->events[i].fd, &all->peers[i]))
                let_go(all, i);
        if (all->events[0].revents != 0)
            take_one_more(immured, all);
    }
    while (all->count > 1)
        let_go(all, all->count - 1);
    free(all);
    return NULL;
}

void fake_immured_begin(struct fake_immured *immured, const struct fake_key *keys, size_t count)
{
    memset(immured, 0, sizeof *immured);
    immured->keys = keys;
    immured->key_count = count;
    snprintf(immured->path, sizeof immured->path, "/tmp/immure-test-provider.%d", (int)getpid());
    unlink(immured->path);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, immured->path);
    immured->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(immured->listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(immured->listener, 5), 0);
    assert_int_equal(pthread_create(&immured->thread, NULL, serve, immured), 0);
}

void fake_immured_end(struct fake_immured *immured)
{
    shutdown(immured->listener, SHUT_RDWR);
    assert_int_equal(pthread_join(immured->thread, NULL), 0);
    close(immured->listener);
    unlink(immured->path);
}
