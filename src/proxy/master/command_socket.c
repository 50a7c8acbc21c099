#include "proxy/master/command_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/unix_socket.h"
#include "proxy/config/config.h"
#include "proxy/master/command_verbs.h"
#include "proxy/master/refresh.h"

#define CLIENTS_MAX 16
#define ACCEPTS_MAX 8 /* in one turn */
#define PIECES_MAX 16 /* of one answer, in one turn */
#define BACKLOG 64
#define SOCKET_MODE 0600

#define REQUEST_LIMIT (5 * NS_PER_S)  /* until the request is there */
#define READ_LIMIT (10 * NS_PER_S)    /* until the client reads more of its answer */
#define ANSWER_LIMIT (300 * NS_PER_S) /* until it has read all */

/* ---- clients ---- */

static void close_client(struct command_client *client)
{
    struct command_socket *socket = client->owner;
    if (client->watch.descriptor < 0)
        return;
    watch_close_shared(client->loop, &client->watch);
    timer_stop(client->loop, &client->limit);
    refresh_cancel(&client->refresh);
    store_close(client->store);
    report_release(client->report);
    buffer_release(&client->answer);
    list_remove(&client->node);
    list_append(&socket->gone, &client->node);
    socket->client_count--;
}

void command_socket_sweep(struct command_socket *socket)
{
    for (struct list *node; (node = list_take(&socket->gone)) != NULL;)
        free(list_entry(node, struct command_client, node));
}

/* A client has until `time` from now, but not longer than for its whole answer. */
static void set_limit(struct command_client *client, uint64_t time)
{
    uint64_t until = client->loop->now + time;
    timer_start_at(client->loop, &client->limit,
                   until < client->deadline ? until : client->deadline);
}

/* Sends what there is. False: the client is gone. */
static bool send_some(struct command_client *client)
{
    size_t length = buffer_length(&client->answer);
    if (length == 0)
        return true;
    ssize_t sent = send(client->watch.descriptor, buffer_bytes(&client->answer), length,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    buffer_consume(&client->answer, (size_t)sent);
    set_limit(client, READ_LIMIT);
    return true;
}

static void go_on(struct command_client *client)
{
    for (unsigned i = 0; i < PIECES_MAX && !client->waits && !client->ended &&
                         buffer_length(&client->answer) < ANSWER_PIECE;
         i++)
        client->verb->go_on(client);
    bool there = send_some(client);
    if (!there || (client->ended && buffer_length(&client->answer) == 0)) {
        close_client(client);
        return;
    }
    /* EPOLLPRI never comes; the end of the client does. */
    bool writes = !client->waits || buffer_length(&client->answer) > 0;
    if (!watch_want(client->loop, &client->watch, writes ? EPOLLOUT : EPOLLPRI))
        close_client(client);
}

static void refuse(struct command_client *client, const char *reason)
{
    answer_refuse(client, "failed", "%s", reason);
    go_on(client);
}

static const struct command_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < command_verb_count; i++)
        if (strcmp(command_verbs[i].name, name) == 0)
            return &command_verbs[i];
    return NULL;
}

static void begin(struct command_client *client, size_t length)
{
    struct command_view view = {.generation = NULL};
    struct command_socket *socket = client->owner;
    const char *wrong = command_request_parse(&client->request, client->line, length);
    if (wrong != NULL) {
        refuse(client, wrong);
        return;
    }
    size_t arguments = client->request.count - 1;
    client->verb = find_verb(client->request.words[0]);
    if (client->verb == NULL) {
        refuse(client, "there is no such request");
        return;
    }
    if (arguments < client->verb->least || arguments > client->verb->most) {
        refuse(client, arguments < client->verb->least ? "the request lacks an argument"
                                                       : "the request has too many arguments");
        return;
    }
    socket->view(socket, &view);
    client->deadline = client->loop->now + ANSWER_LIMIT;
    set_limit(client, ANSWER_LIMIT);
    client->verb->begin(client, &view);
    go_on(client);
}

/* What follows the line is not read. */
static void read_request(struct command_client *client)
{
    size_t room = COMMAND_REQUEST_MAX + 1 - client->length;
    char *place = client->line + client->length;
    ssize_t got = recv(client->watch.descriptor, place, room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0) {
        close_client(client);
        return;
    }
    const char *end = memchr(place, '\n', (size_t)got);
    client->length += (size_t)got;
    if (end != NULL)
        begin(client, (size_t)(end - client->line));
    else if (got == 0 && client->length == 0)
        close_client(client);
    else if (got == 0)
        refuse(client, "the request does not end with a line feed");
    else if (client->length > COMMAND_REQUEST_MAX)
        refuse(client, "the request is too long");
}

static void client_ready(struct watch *watch, uint32_t events)
{
    struct command_client *client = list_entry(watch, struct command_client, watch);
    bool reads = client->verb == NULL && !client->ended;
    if (reads && (events & EPOLLIN) != 0)
        read_request(client);
    else if ((events & (EPOLLERR | EPOLLHUP)) != 0)
        close_client(client);
    else if (!reads)
        go_on(client);
}

static void client_late(struct timer *timer)
{
    struct command_client *client = list_entry(timer, struct command_client, limit);
    bool reads = client->verb == NULL && !client->ended;
    if (reads || (client->waits && !client->ended)) {
        client->waits = false;
        client->deadline = client->loop->now + READ_LIMIT;
        set_limit(client, READ_LIMIT);
        refresh_cancel(&client->refresh);
        refuse(client, reads ? "no request has come" : "there is no outcome yet");
    } else {
        log_debug("control-socket: a client does not read its answer");
        close_client(client);
    }
}

/* ---- who may be one ---- */

/* One line, without waiting. */
static void turn_away(int connection, const char *result, const char *reason)
{
    char line[256];
    int length =
        snprintf(line, sizeof line, "{\"result\": \"%s\", \"reason\": \"%s\"}\n", result, reason);
    if (send(connection, line, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_debug("control-socket: a client has left: %s", strerror(errno));
    close(connection);
}

static bool is_allowed(struct command_socket *socket, int connection, struct ucred *peer)
{
    socklen_t size = sizeof *peer;
    *peer = (struct ucred){.uid = (uid_t)-1};
    if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, peer, &size) == 0 &&
        (peer->uid == 0 || peer->uid == geteuid()))
        return true;
    if (log_due(&socket->last_stranger, socket->loop->now))
        log_warning("control-socket: user %u (pid %d) is refused", (unsigned)peer->uid,
                    (int)peer->pid);
    return false;
}

static void add_client(struct command_socket *socket, int connection, const struct ucred *peer)
{
    struct command_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        turn_away(connection, "busy", "out of memory");
        return;
    }
    *client = (struct command_client){.owner = socket,
                                      .loop = socket->loop,
                                      .deadline = UINT64_MAX,
                                      .peer = *peer,
                                      .answer = BUFFER_INIT(ANSWER_MAX)};
    watch_init(&client->watch, client_ready);
    timer_init(&client->limit, client_late);
    list_init(&client->refresh.node);
    watch_open(&client->watch, connection, WATCH_LEVEL);
    list_append(&socket->clients, &client->node);
    socket->client_count++;
    set_limit(client, REQUEST_LIMIT);
    if (!watch_want(client->loop, &client->watch, EPOLLIN))
        close_client(client);
}

/* False: nobody waits. */
static bool accept_one(struct command_socket *socket, int listener)
{
    struct ucred peer;
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connection < 0)
        return errno == ECONNABORTED || errno == EINTR;
    if (!is_allowed(socket, connection, &peer)) {
        turn_away(connection, "refused", "only root and the user of immure-proxy are answered");
    } else if (socket->client_count >= CLIENTS_MAX) {
        if (log_due(&socket->last_crowd, socket->loop->now))
            log_warning("control-socket: there are %d clients already", CLIENTS_MAX);
        turn_away(connection, "busy", "there are too many clients");
    } else {
        add_client(socket, connection, &peer);
    }
    return true;
}

static void accept_some(struct command_socket *socket, const struct watch *watch)
{
    for (unsigned i = 0; i < ACCEPTS_MAX && accept_one(socket, watch->descriptor); i++)
        continue;
}

/* ---- the socket ---- */

static void listener_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct command_listener *listener = list_entry(watch, struct command_listener, watch);
    accept_some(list_entry(listener, struct command_socket, listener), watch);
}

void command_socket_init(struct command_socket *socket, struct loop *loop,
                         void (*view)(struct command_socket *socket, struct command_view *view))
{
    *socket = (struct command_socket){.loop = loop, .view = view};
    watch_init(&socket->listener.watch, listener_ready);
    watch_init(&socket->next.watch, listener_ready);
    list_init(&socket->clients);
    list_init(&socket->gone);
}

/* Until it is renamed, the file has a name of its own. */
static bool hidden_path(const char *path, char hidden[CONTROL_SOCKET_PATH_MAX + 8])
{
    int length = snprintf(hidden, CONTROL_SOCKET_PATH_MAX + 8, "%s%s", path, CONTROL_SOCKET_HIDDEN);
    return length > 0 && length <= CONTROL_SOCKET_PATH_MAX + (int)strlen(CONTROL_SOCKET_HIDDEN);
}

/* Nobody else serves at the path, unless this master takes over. */
static bool is_free(const char *path, bool replaces)
{
    struct file_identity file;
    return replaces ? unix_socket_identify(path, &file) || errno == ENOENT
                    : unix_socket_clear(path, 0);
}

static bool listen_at(struct command_listener *listener, const char *path, bool replaces)
{
    char hidden[CONTROL_SOCKET_PATH_MAX + 8];
    if (!hidden_path(path, hidden)) {
        errno = ENAMETOOLONG;
        return false;
    }
    int opened = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (opened < 0)
        return false;
    watch_open(&listener->watch, opened, WATCH_LEVEL);
    listener->path = strdup(path);
    return listener->path != NULL && is_free(path, replaces) && unix_socket_clear(hidden, 0) &&
           unix_socket_bind(opened, hidden, SOCKET_MODE) &&
           unix_socket_identify(hidden, &listener->file) && listen(opened, BACKLOG) == 0;
}

static void close_listener(struct command_socket *socket, struct command_listener *listener)
{
    char hidden[CONTROL_SOCKET_PATH_MAX + 8];
    watch_close_shared(socket->loop, &listener->watch);
    if (listener->path != NULL) {
        unix_socket_remove(listener->path, &listener->file);
        if (hidden_path(listener->path, hidden))
            unix_socket_remove(hidden, &listener->file);
    }
    free(listener->path);
    listener->path = NULL;
    listener->file = (struct file_identity){0};
}

static bool is_open(const struct command_listener *listener, const char *path)
{
    return listener->path != NULL && strcmp(listener->path, path) == 0 &&
           unix_socket_is_there(path, &listener->file);
}

bool command_socket_open(struct command_socket *socket, const char *path, bool replaces,
                         struct conf_error *error)
{
    command_socket_drop(socket);
    socket->closes = path == NULL;
    if (path == NULL || is_open(&socket->listener, path) ||
        listen_at(&socket->next, path, replaces))
        return true;
    int reason = errno;
    command_socket_drop(socket);
    snprintf(error->text, sizeof error->text, "control-socket: cannot listen on %s: %s", path,
             strerror(reason == ENOTSOCK ? EADDRINUSE : reason));
    return false;
}

/* Those who have connected to the one before are accepted first. */
static void close_old(struct command_socket *socket)
{
    struct command_listener *listener = &socket->listener;
    if (listener->watch.descriptor < 0)
        return;
    for (unsigned i = 0; i < BACKLOG && accept_one(socket, listener->watch.descriptor); i++)
        continue;
    close_listener(socket, listener);
}

void command_socket_switch(struct command_socket *socket)
{
    char hidden[CONTROL_SOCKET_PATH_MAX + 8];
    struct command_listener *next = &socket->next;
    if (socket->closes)
        close_old(socket);
    if (next->path == NULL)
        return;
    bool good = hidden_path(next->path, hidden) && rename(hidden, next->path) == 0;
    int reason = errno;
    close_old(socket);
    socket->listener.path = next->path;
    socket->listener.file = next->file;
    watch_open(&socket->listener.watch, watch_release(socket->loop, &next->watch), WATCH_LEVEL);
    next->path = NULL;
    good = watch_want(socket->loop, &socket->listener.watch, EPOLLIN) && good;
    if (good)
        log_info("control-socket: listening on %s", socket->listener.path);
    else
        log_error("control-socket: %s: %s", socket->listener.path, strerror(reason));
}

void command_socket_drop(struct command_socket *socket)
{
    close_listener(socket, &socket->next);
}

void command_socket_restore(struct command_socket *socket)
{
    struct conf_error error;
    char *path = socket->listener.path != NULL ? strdup(socket->listener.path) : NULL;
    if (path == NULL)
        return;
    if (command_socket_open(socket, path, false, &error))
        command_socket_switch(socket);
    else
        log_error("%s", error.text);
    free(path);
}

/* ---- the end ---- */

void command_socket_forget(struct command_socket *socket)
{
    list_for_each(node, &socket->clients) list_entry(node, struct command_client, node)
        ->generation = NULL;
}

void command_socket_close(struct command_socket *socket)
{
    command_socket_drop(socket);
    close_old(socket);
}

void command_socket_end(struct command_socket *socket)
{
    command_socket_close(socket);
    list_for_each(node, &socket->clients)
        close_client(list_entry(node, struct command_client, node));
    command_socket_sweep(socket);
}
