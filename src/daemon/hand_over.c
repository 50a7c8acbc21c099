#include "daemon/hand_over.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/hex.h"
#include "base/launch.h"
#include "base/regular_file.h"

#define GIVEN_MAX 4
#define ERRNO_SIZE 12 /* of an errno as text, with the space after it */

/* ---- the messages ---- */

/* A FILES message that is being put together. */
struct batch {
    char message[HAND_OVER_MESSAGE_MAX];
    size_t length, count;
    int descriptors[DESCRIPTORS_MAX];
    size_t descriptor_count;
};

/* Whether a file could not be opened because this process, and not the file, lacks something. */
static bool is_own_lack(int reason)
{
    return reason == EMFILE || reason == ENFILE || reason == ENOMEM;
}

/* `before` is the text between errno and name. False with errno: the message has no room for the
 * file, or this process has none for its descriptor. */
static bool add_file(struct batch *batch, const char *before, const char *name)
{
    size_t room = sizeof batch->message - batch->length;
    if (batch->descriptor_count == DESCRIPTORS_MAX ||
        strlen(before) + strlen(name) + ERRNO_SIZE >= room) {
        errno = ENAMETOOLONG;
        return false;
    }
    int file = regular_file_open(name);
    if (file < 0 && is_own_lack(-file)) {
        errno = -file;
        return false;
    }
    if (file >= 0)
        batch->descriptors[batch->descriptor_count++] = file;
    batch->length += (size_t)snprintf(batch->message + batch->length, room, "%d %s%s",
                                      file >= 0 ? 0 : -file, before, name) +
                     1;
    batch->count++;
    return true;
}

/* Sends a batch, and closes its files. Returns how many it has; 0 with errno. */
static size_t send_batch(int socket, struct batch *batch)
{
    const struct iovec part = {.iov_base = batch->message, .iov_len = batch->length};
    bool sent = batch->count > 0 &&
                descriptors_send(socket, &part, 1, batch->descriptors, batch->descriptor_count) > 0;
    int reason = errno;
    for (size_t i = 0; i < batch->descriptor_count; i++)
        descriptor_close(&batch->descriptors[i]);
    errno = reason;
    return sent ? batch->count : 0;
}

/* Sends the files of as many names as one message has room for. Returns how many; 0 with errno. */
static size_t send_files(int socket, char *const *names, size_t count)
{
    struct batch batch = {.message = {HAND_OVER_FILES}, .length = 1};
    while (batch.count < count && add_file(&batch, "", names[batch.count]))
        continue;
    return send_batch(socket, &batch);
}

/* "SECTION ID " */
static bool describe_key(const struct hand_over_key *key, char *text, size_t size)
{
    char id[2 * HAND_OVER_ID_SIZE + 1];
    int length =
        snprintf(text, size, "%s %s ", key->section, hex_encode(key->id, HAND_OVER_ID_SIZE, id));
    return length > 0 && (size_t)length < size;
}

static bool add_key(struct batch *batch, const struct hand_over_key *key)
{
    char text[512];
    errno = ENAMETOOLONG;
    return describe_key(key, text, sizeof text) && add_file(batch, text, key->file);
}

/* As many keys, from the next one on, as one message has room for. */
static size_t send_keys(const struct hand_over *hand_over)
{
    const struct hand_over_keys *keys = hand_over->keys;
    struct batch batch = {.message = {HAND_OVER_KEYS}, .length = 1};
    struct hand_over_key key;
    do
        keys->get(keys->list, hand_over->next_key + batch.count, &key);
    while (add_key(&batch, &key) && hand_over->next_key + batch.count < keys->count);
    return send_batch(hand_over->socket, &batch);
}

static bool send_end(int socket)
{
    const uint8_t end = HAND_OVER_END;
    return descriptor_send(socket, &end, sizeof end, -1) > 0;
}

static bool send_vault(int socket, const struct vault *vault)
{
    uint8_t kind = HAND_OVER_VAULT;
    const struct iovec parts[] = {{.iov_base = &kind, .iov_len = sizeof kind},
                                  {.iov_base = vault->key, .iov_len = VAULT_KEY_SIZE}};
    const int descriptors[] = {vault->descriptor, vault->changes};
    return descriptors_send(socket, parts, 2, descriptors, vault->changes >= 0 ? 2 : 1) > 0;
}

/* Sends the next message. False with errno. */
static bool send_next(struct hand_over *hand_over)
{
    const struct name_table *names = hand_over->names;
    if (hand_over->next < names->count) {
        size_t sent = send_files(hand_over->socket, names->names + hand_over->next,
                                 names->count - hand_over->next);
        hand_over->next += sent;
        return sent > 0;
    }
    if (hand_over->keys != NULL && hand_over->next_key < hand_over->keys->count) {
        size_t sent = send_keys(hand_over);
        hand_over->next_key += sent;
        return sent > 0;
    }
    hand_over->ended = send_end(hand_over->socket);
    return hand_over->ended;
}

/* ---- the supervisor's side ---- */

static bool launch(int end, const struct hand_over_process *process, pid_t *pid)
{
    struct launch launch;
    /* HUP and INT are for the supervisor only, so a key process starts with both blocked */
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGHUP);
    sigaddset(&blocked, SIGINT);
    if (!launch_begin(&launch, "immured", GIVEN_MAX))
        return false;
    launch_set(&launch, "--config", (char *)process->config);
    if (launch_give(&launch, "--config-fd", "", process->text) &&
        launch_give(&launch, "--hand-over-fd", "", end) &&
        launch_give(&launch, "--listen-fd", "", process->listener) &&
        (process->session < 0 || launch_give(&launch, "--session-fd", "", process->session)))
        return launch_run(&launch, process->program, &blocked, pid);
    launch_drop(&launch);
    return false;
}

bool hand_over_start(struct hand_over *hand_over, const struct hand_over_process *process,
                     const struct name_table *names, struct vault *vault, pid_t *pid)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    *hand_over = (struct hand_over){.socket = ends[0],
                                    .names = names,
                                    .keys = process->keys,
                                    .done = vault_filled(vault),
                                    .lasts = process->lasts,
                                    .vault = vault};
    bool started = descriptor_set_nonblocking(ends[0], true) &&
                   (vault_filled(vault) ? send_vault(ends[0], vault) : send_next(hand_over)) &&
                   launch(ends[1], process, pid);
    int reason = errno;
    close(ends[1]);
    if (!started || (hand_over->done && !hand_over->lasts))
        hand_over_end(hand_over);
    errno = reason;
    return started;
}

/* The answer to ADD or REMOVE. */
static enum hand_over_state take_answer(struct hand_over *hand_over, uint8_t kind,
                                        const uint8_t *rest, size_t length)
{
    if (!hand_over->asked || (kind != HAND_OVER_CHANGED && kind != HAND_OVER_REFUSED)) {
        errno = EPROTO;
        return HAND_OVER_BROKEN;
    }
    hand_over->asked = false;
    if (kind == HAND_OVER_CHANGED)
        return vault_add_change(hand_over->vault, rest, length) ? HAND_OVER_CHANGED_KEYS
                                                                : HAND_OVER_BROKEN;
    snprintf(hand_over->reason, sizeof hand_over->reason, "%.*s", (int)length, (const char *)rest);
    return HAND_OVER_REFUSED_CHANGE;
}

static enum hand_over_state take(struct hand_over *hand_over, uint8_t kind, ssize_t length,
                                 int *descriptors, size_t *count)
{
    if (kind == HAND_OVER_TAKEN && length == 1 && *count == 0 && !hand_over->ended)
        return send_next(hand_over) ? HAND_OVER_GOES_ON : HAND_OVER_BROKEN;
    if (kind == HAND_OVER_VAULT && length == 1 + VAULT_KEY_SIZE && *count == 1 &&
        hand_over->ended) {
        hand_over->vault->descriptor = descriptors[--*count];
        hand_over->done = true;
        return HAND_OVER_DONE;
    }
    errno = EPROTO;
    return HAND_OVER_BROKEN;
}

enum hand_over_state hand_over_ready(struct hand_over *hand_over)
{
    if (hand_over->done && !hand_over->lasts)
        return HAND_OVER_DONE;
    bool done = hand_over->done;
    uint8_t kind = 0, answer[VAULT_CHANGE_MAX];
    const struct iovec parts[] = {{.iov_base = &kind, .iov_len = sizeof kind},
                                  {.iov_base = done ? answer : hand_over->vault->key,
                                   .iov_len = done ? sizeof answer : VAULT_KEY_SIZE}};
    int descriptors[DESCRIPTORS_MAX];
    size_t count;
    ssize_t length = descriptors_receive(hand_over->socket, parts, 2, descriptors, &count);
    if (length < 0 && errno == EAGAIN)
        return done ? HAND_OVER_DONE : HAND_OVER_GOES_ON;
    enum hand_over_state state = HAND_OVER_BROKEN;
    if (length > 0 && done)
        state = take_answer(hand_over, kind, answer, (size_t)length - 1);
    else if (length > 0)
        state = take(hand_over, kind, length, descriptors, &count);
    else if (length == 0 || errno == ECONNRESET)
        errno = EPIPE;
    int reason = errno;
    while (count > 0)
        descriptor_close(&descriptors[--count]);
    errno = reason;
    return state;
}

static bool may_ask(const struct hand_over *hand_over)
{
    bool open = hand_over->socket >= 0 && hand_over->done && hand_over->lasts;
    errno = open ? EBUSY : ENOTCONN;
    return open && !hand_over->asked;
}

bool hand_over_add(struct hand_over *hand_over, const struct hand_over_key *key)
{
    char message[HAND_OVER_MESSAGE_MAX] = {HAND_OVER_ADD};
    if (!may_ask(hand_over))
        return false;
    size_t length = describe_key(key, message + 1, sizeof message - 1) ? strlen(message) : 0;
    size_t size = strlen(key->file) + 1;
    if (length == 0 || size > sizeof message - length) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(message + length, key->file, size);
    int file = regular_file_open(key->file);
    if (file < 0) {
        errno = -file;
        return false;
    }
    hand_over->asked = descriptor_send(hand_over->socket, message, length + size, file) > 0;
    int reason = errno;
    descriptor_close(&file);
    errno = reason;
    return hand_over->asked;
}

bool hand_over_remove(struct hand_over *hand_over, const uint8_t id[static HAND_OVER_ID_SIZE])
{
    char message[1 + 2 * HAND_OVER_ID_SIZE + 1] = {HAND_OVER_REMOVE};
    if (!may_ask(hand_over))
        return false;
    hex_encode(id, HAND_OVER_ID_SIZE, message + 1);
    hand_over->asked = descriptor_send(hand_over->socket, message, sizeof message, -1) > 0;
    return hand_over->asked;
}

void hand_over_end(struct hand_over *hand_over)
{
    descriptor_close(&hand_over->socket);
}

/* ---- a process that has nothing else to do ---- */

static bool wait_for_taken(int socket)
{
    uint8_t kind;
    int descriptor;
    struct pollfd ready = {.fd = socket, .events = POLLIN};
    if (poll(&ready, 1, HAND_OVER_PATIENCE * 1000) > 0 &&
        descriptor_receive(socket, &kind, sizeof kind, &descriptor) == sizeof kind &&
        kind == HAND_OVER_TAKEN)
        return true;
    errno = EPIPE;
    return false;
}

bool hand_over_files(int socket, const struct name_table *names)
{
    for (size_t next = 0; next < names->count;) {
        size_t sent = send_files(socket, names->names + next, names->count - next);
        next += sent;
        if (sent == 0 || !wait_for_taken(socket))
            return false;
    }
    return send_end(socket);
}
