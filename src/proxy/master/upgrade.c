#include "proxy/master/upgrade.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "proxy/master/listening.h"

/* Two masters must agree on struct message; another number is another layout. */
#define LAYOUT 2
/* Longer than a generation has to come up. */
#define UPGRADE_LIMIT (90 * NS_PER_S)
#define EXIT_NOT_STARTED 127

struct message {
    uint32_t layout, count;
    struct heritage heritage;
    struct {
        int socket;
        unsigned thread;
        char name[ACTIVATION_NAME_MAX + 1]; /* of one of the service manager's; "": ours */
    } sockets[];
};

static size_t message_size(size_t count)
{
    return sizeof(struct message) + count * sizeof(((struct message *)NULL)->sockets[0]);
}

static void message_free(struct message *message, size_t size)
{
    if (message != NULL)
        OPENSSL_cleanse(message, size);
    free(message);
}

/* ---- the old master ---- */

/* The threads have only copies of the service manager's sockets, which are left out. */
static struct message *make_message(const struct list *listening,
                                    const struct activation *activation,
                                    const struct heritage *heritage, size_t *size)
{
    size_t count = activation->count;
    list_for_each(node, listening) count +=
        !listening_is_activated(list_entry(node, struct listening, node));
    *size = message_size(count);
    struct message *message = calloc(1, *size);
    if (message == NULL)
        return NULL;
    message->layout = LAYOUT;
    message->heritage = *heritage;
    list_for_each(node, listening)
    {
        const struct listening *each = list_entry(node, struct listening, node);
        if (listening_is_activated(each))
            continue;
        message->sockets[message->count].socket = each->socket;
        message->sockets[message->count++].thread = each->thread;
    }
    for (size_t i = 0; i < activation->count; i++) {
        message->sockets[message->count].socket = activation->sockets[i].socket;
        memcpy(message->sockets[message->count++].name, activation->sockets[i].name,
               sizeof activation->sockets[i].name);
    }
    return message;
}

/* In the child. */
static void run(const char *program, const char *file, int link, const struct list *listening,
                const struct activation *activation, const struct notify *notify)
{
    char number[16];
    char *const arguments[] = {"immure-proxy", "--config", (char *)file,
                               "--upgrade-fd", number,     NULL};
    sigset_t none;
    bool good = descriptor_set_close_on_exec(link, false);
    list_for_each(node, listening)
    {
        const struct listening *each = list_entry(node, struct listening, node);
        good &= listening_is_activated(each) || descriptor_set_close_on_exec(each->socket, false);
    }
    for (size_t i = 0; i < activation->count; i++)
        good &= descriptor_set_close_on_exec(activation->sockets[i].socket, false);
    snprintf(number, sizeof number, "%d", link);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (good && notify_pass_on(notify))
        execv(program, arguments);
    log_error("%s: %s", program, strerror(errno));
    _exit(EXIT_NOT_STARTED);
}

static bool send_message(int link, const struct list *listening,
                         const struct activation *activation, const struct heritage *heritage,
                         int settings)
{
    size_t size;
    struct message *message = make_message(listening, activation, heritage, &size);
    bool sent = message != NULL && descriptor_send(link, message, size, settings) == (ssize_t)size;
    message_free(message, size);
    return sent;
}

bool upgrade_start(struct upgrade *upgrade, const char *program, const char *file,
                   const struct list *listening, const struct activation *activation,
                   const struct heritage *heritage, int settings, const struct notify *notify)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return false;
    pid_t pid = send_message(pair[0], listening, activation, heritage, settings) ? fork() : -1;
    if (pid == 0)
        run(program, file, pair[1], listening, activation, notify);
    int reason = errno;
    descriptor_close(&pair[1]);
    if (pid < 0)
        descriptor_close(&pair[0]);
    else
        *upgrade =
            (struct upgrade){.link = pair[0], .pid = pid, .deadline = clock_now() + UPGRADE_LIMIT};
    errno = reason;
    return pid > 0;
}

bool upgrade_heard(struct upgrade *upgrade)
{
    char word;
    int descriptor = -1;
    ssize_t length = descriptor_receive(upgrade->link, &word, sizeof word, &descriptor);
    descriptor_close(&descriptor);
    if (length == 0 || (length < 0 && errno != EAGAIN))
        descriptor_close(&upgrade->link);
    return length == sizeof word;
}

void upgrade_finish(struct upgrade *upgrade)
{
    descriptor_close(&upgrade->link);
    *upgrade = UPGRADE_INIT;
}

/* ---- the new master ---- */

/* The size is known once the message is there. */
static struct message *receive_message(int link, size_t *size, int *settings)
{
    char first;
    ssize_t length = recv(link, &first, sizeof first, MSG_PEEK | MSG_TRUNC);
    *size = length > 0 ? (size_t)length : 0;
    struct message *message = length > 0 ? malloc(*size) : NULL;
    if (message != NULL && descriptor_receive(link, message, *size, settings) == length &&
        *size >= sizeof *message && message->layout == LAYOUT &&
        *size == message_size(message->count))
        return message;
    message_free(message, *size);
    descriptor_close(settings);
    errno = EPROTO;
    return NULL;
}

static bool take_socket(int socket, unsigned thread, const char *name, struct list *listening,
                        struct activation *activation)
{
    if (name[0] == '\0')
        return listening_inherit(listening, socket, thread);
    return descriptor_set_close_on_exec(socket, true) && activation_add(activation, name, socket);
}

static bool take_sockets(struct message *message, struct list *listening,
                         struct activation *activation)
{
    bool good = true;
    for (size_t i = 0; i < message->count; i++) {
        message->sockets[i].name[ACTIVATION_NAME_MAX] = '\0';
        good = good && take_socket(message->sockets[i].socket, message->sockets[i].thread,
                                   message->sockets[i].name, listening, activation);
    }
    return good;
}

bool upgrade_take(struct upgrade *upgrade, struct list *listening, struct activation *activation,
                  struct heritage *heritage, int *settings)
{
    size_t size;
    *settings = -1;
    if (!descriptor_set_close_on_exec(upgrade->link, true))
        return false;
    struct message *message = receive_message(upgrade->link, &size, settings);
    if (message == NULL)
        return false;
    *heritage = message->heritage;
    bool good = take_sockets(message, listening, activation);
    message_free(message, size);
    return good;
}

void upgrade_report(const struct upgrade *upgrade)
{
    const char serves = 1;
    if (upgrade->link >= 0 && descriptor_send(upgrade->link, &serves, sizeof serves, -1) < 0)
        log_warning("the master before this one is gone: %s", strerror(errno));
}
