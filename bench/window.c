#include "window.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

struct search {
    struct window *window;
    const char *name;
    bool found, ended;
};

void window_fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
    exit(EXIT_FAILURE);
}

static void key_listed(void *arg, const struct immure_reply *reply)
{
    struct search *search = arg;
    const struct immure_key *key = reply->key;
    if (reply->error != IMMURE_OK)
        window_fail("list", reply->error_text);
    if (key == NULL) {
        search->ended = true;
    } else if (search->name == NULL || strcmp(search->name, key->name) == 0) {
        struct window *window = search->window;
        memcpy(window->request.key_id, key->id, sizeof key->id);
        window->spki_length = key->spki_length < sizeof window->spki ? key->spki_length : 0;
        memcpy(window->spki, key->spki, window->spki_length);
        search->found = true;
    }
}

void window_signed(struct window *window, enum immure_error error)
{
    if (error != IMMURE_OK)
        window_fail("sign", immure_error_text(error));
    window->signatures++;
    window->due++;
    if (window->answered != NULL)
        window->answered(window, clock_now() - window->asked_at);
}

static void signed_one(void *arg, const struct immure_reply *reply)
{
    window_signed(arg, reply->error);
}

void window_message(struct immure_request *request)
{
    static const char context[] = "TLS 1.3, server CertificateVerify";
    static uint8_t message[64 + sizeof context + 32];
    memset(message, ' ', 64);
    memcpy(message + 64, context, sizeof context);
    request->input = message;
    request->input_length = sizeof message;
}

static void ask_one(struct window *window)
{
    enum immure_error error = immure_request_submit(window->client, &window->request, NULL);
    if (error != IMMURE_OK)
        window_fail("sign", immure_error_text(error));
}

static void ask(struct window *window)
{
    for (; window->due > 0; window->due--) {
        window->asked_at = clock_now();
        (window->ask != NULL ? window->ask : ask_one)(window);
    }
}

/* One turn of the event loop: sends what is due, waits, and handles what has arrived. */
static void turn(struct window *window)
{
    static _Thread_local uint8_t room[65536];
    const void *data;
    size_t length;
    while ((length = immure_client_output(window->client, &data, clock_now())) > 0) {
        ssize_t sent = send(window->socket, data, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0)
            window_fail("send", strerror(errno));
        immure_client_sent(window->client, (size_t)sent);
        window->writes++;
    }
    poll(&(struct pollfd){.fd = window->socket,
                          .events = (short)(length > 0 ? POLLIN | POLLOUT : POLLIN)},
         1, -1);
    ssize_t received = recv(window->socket, room, sizeof room, MSG_DONTWAIT);
    if (received < 0 && errno == EAGAIN)
        return;
    if (received <= 0)
        window_fail("immured", received == 0 ? "it ended" : strerror(errno));
    enum immure_error error = immure_client_receive(window->client, room, (size_t)received);
    if (error != IMMURE_OK)
        window_fail("receive", immure_error_text(error));
}

void window_begin(struct window *window, int socket, const char *key, uint16_t scheme)
{
    struct search search = {.window = window, .name = key};
    const struct immure_request list = {
        .operation = IMMURE_LIST, .callback = key_listed, .arg = &search};
    window->client = immure_client_new(NULL);
    window->socket = socket;
    window->request.operation = IMMURE_SIGN;
    window->request.scheme = scheme;
    window->request.callback = signed_one;
    window->request.arg = window;
    window_message(&window->request);
    if (window->client == NULL || immure_request_submit(window->client, &list, NULL) != IMMURE_OK)
        window_fail("list", "out of memory");
    while (!search.ended)
        turn(window);
    if (!search.found)
        window_fail("list", "no such key");
}

void window_run(struct window *window, uint64_t until)
{
    while (clock_now() < until) {
        ask(window);
        turn(window);
    }
}
