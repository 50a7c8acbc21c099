#include "proxy/master/listening.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "proxy/config/address.h"

static bool is_unix(const struct address *address)
{
    return address->socket.ss_family == AF_UNIX;
}

/* libconfuse drops the star of a "*:443" without quotes. */
static bool wants_both_families(const struct address *address)
{
    return address->socket.ss_family == AF_INET6 &&
           (address->text[0] == '*' || address->text[0] == ':');
}

static int open_socket(const struct address *address)
{
    return socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static bool set_option(int socket, int level, int option, int value)
{
    return setsockopt(socket, level, option, &value, sizeof value) == 0;
}

/* Nobody may use a unix socket's file before it has its owner and mode (begin_file()). */
static bool bind_closed(int socket, const struct address *address)
{
    mode_t before = umask(0777);
    bool bound = bind(socket, (const struct sockaddr *)&address->socket, address->length) == 0;
    umask(before);
    return bound;
}

static bool bind_socket(int socket, const struct address *address, bool reuse_port)
{
    if (is_unix(address))
        return bind_closed(socket, address);
    if (!set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1) ||
        (reuse_port && !set_option(socket, SOL_SOCKET, SO_REUSEPORT, 1)) ||
        (address->socket.ss_family == AF_INET6 &&
         !set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, !wants_both_families(address))))
        return false;
    return bind(socket, (const struct sockaddr *)&address->socket, address->length) == 0;
}

/* With SO_REUSEPORT a second master of the same user would share the port without a word. */
static bool port_is_free(const struct address *address)
{
    int probe = open_socket(address);
    bool free = probe >= 0 && bind_socket(probe, address, false);
    int reason = errno;
    descriptor_close(&probe);
    errno = reason;
    return free;
}

/* A socket that nobody serves any more is removed; anything else stays. */
static bool path_is_free(const struct address *address)
{
    const struct sockaddr_un *name = (const struct sockaddr_un *)&address->socket;
    struct stat file;
    if (lstat(name->sun_path, &file) != 0)
        return errno == ENOENT;
    int probe = open_socket(address);
    bool stale = S_ISSOCK(file.st_mode) && probe >= 0 &&
                 connect(probe, (const struct sockaddr *)name, address->length) != 0 &&
                 errno == ECONNREFUSED && unlink(name->sun_path) == 0;
    descriptor_close(&probe);
    errno = EADDRINUSE;
    return stale;
}

static const char *path_of(const struct listening *listening)
{
    return ((const struct sockaddr_un *)&listening->address.socket)->sun_path;
}

/* Which file the name of a unix socket stands for by now; none if it is not a socket. */
static void know_file(struct listening *listening)
{
    struct stat file;
    if (!is_unix(&listening->address) || lstat(path_of(listening), &file) != 0 ||
        !S_ISSOCK(file.st_mode))
        return;
    listening->device = file.st_dev;
    listening->file = file.st_ino;
}

/* The file of a unix socket, to change or remove it: somebody may have removed it, or put another
 * in its place, even a link to one that is nobody's socket. -1 with errno. */
static int open_file(const struct listening *listening)
{
    struct stat file;
    int opened = open(path_of(listening), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (opened < 0 || (fstat(opened, &file) == 0 && S_ISSOCK(file.st_mode) &&
                       file.st_dev == listening->device && file.st_ino == listening->file))
        return opened;
    close(opened);
    errno = ENOENT;
    return -1;
}

static bool can_be_reached(const struct listening *listening)
{
    int file = is_unix(&listening->address) ? open_file(listening) : -1;
    bool there = !is_unix(&listening->address) || file >= 0;
    descriptor_close(&file);
    return there;
}

/* A unix socket whose file is gone is left to the generations that have it. */
static struct listening *find(const struct list *all, const struct address *address,
                              unsigned thread)
{
    list_for_each(node, all)
    {
        struct listening *listening = list_entry(node, struct listening, node);
        if (listening->thread == thread && address_equal(&listening->address, address) &&
            listening->both_families == wants_both_families(address) && can_be_reached(listening))
            return listening;
    }
    return NULL;
}

/* All threads share one unix socket, each by a descriptor of its own, as there is no SO_REUSEPORT
 * for them. */
static int open_bound(const struct list *all, const struct address *address)
{
    const struct listening *first = find(all, address, 0);
    if (first != NULL && is_unix(address))
        return fcntl(first->socket, F_DUPFD_CLOEXEC, 0);
    if (first == NULL && !(is_unix(address) ? path_is_free(address) : port_is_free(address)))
        return -1;
    int socket = open_socket(address);
    if (socket < 0 || bind_socket(socket, address, true))
        return socket;
    int reason = errno;
    descriptor_close(&socket);
    errno = reason;
    return -1;
}

/* All threads share the one socket of the service manager, each by a descriptor of its own. */
static int open_activated(const struct activation *activation, const char *name)
{
    int socket = activation_find(activation, name);
    return socket >= 0 && descriptor_set_nonblocking(socket, true)
               ? fcntl(socket, F_DUPFD_CLOEXEC, 0)
               : -1;
}

static int open_for(const struct listening_setup *setup, const struct address *address)
{
    const char *name = address_activated(address);
    if (name != NULL)
        return setup->bind ? open_activated(setup->activation, name)
                           : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return setup->bind ? open_bound(setup->all, address) : open_socket(address);
}

static const char *reason_for(const struct address *address, int error)
{
    bool activated = address_activated(address) != NULL;
    return activated && error == ENOENT   ? "the service manager has passed no socket of this name"
           : activated && error == EEXIST ? "the service manager has passed several sockets of "
                                            "this name; give each its FileDescriptorName="
                                          : strerror(error);
}

static void describe(const struct config *config, const struct address *address,
                     struct conf_error *error)
{
    snprintf(error->text, sizeof error->text, "%s:%d: cannot listen on %s: %s", config->file,
             address->line, address->text, reason_for(address, errno));
}

struct listening *listening_open(const struct listening_setup *setup, const struct config *config,
                                 const struct address *address, unsigned thread,
                                 struct conf_error *error)
{
    struct listening *listening = setup->bind ? find(setup->all, address, thread) : NULL;
    if (listening != NULL) {
        listening->users++;
        return listening;
    }
    int socket = open_for(setup, address);
    listening = socket < 0 ? NULL : malloc(sizeof *listening);
    if (listening == NULL) {
        describe(config, address, error);
        descriptor_close(&socket);
        return NULL;
    }
    *listening = (struct listening){.address = *address,
                                    .both_families = wants_both_families(address),
                                    .thread = thread,
                                    .users = 1,
                                    .bound = setup->bind,
                                    .socket = socket};
    listening->address.text = NULL;
    know_file(listening);
    list_append(setup->all, &listening->node);
    return listening;
}

bool listening_inherit(struct list *all, int socket, unsigned thread)
{
    struct address address = {.length = sizeof address.socket};
    int v6_only = 1;
    socklen_t size = sizeof v6_only;
    if (!descriptor_set_close_on_exec(socket, true) ||
        getsockname(socket, (struct sockaddr *)&address.socket, &address.length) != 0)
        return false;
    getsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, &size); /* fails for all but IPv6 */
    struct listening *listening = malloc(sizeof *listening);
    if (listening == NULL)
        return false;
    *listening = (struct listening){.address = address,
                                    .both_families = v6_only == 0,
                                    .thread = thread,
                                    .users = 1,
                                    .bound = true,
                                    .lent = true,
                                    .socket = socket};
    know_file(listening);
    list_append(all, &listening->node);
    return true;
}

bool listening_is_activated(const struct listening *listening)
{
    return address_activated(&listening->address) != NULL;
}

/* With the group's rights for the moment: CAP_SETGID, which the master needs anyway, then does what
 * would else take CAP_CHOWN. */
static bool change_group(int file, gid_t group)
{
    gid_t before = getegid();
    bool taken = setegid(group) == 0;
    bool changed = fchownat(file, "", (uid_t)-1, group, AT_EMPTY_PATH) == 0;
    int reason = errno;
    if (taken && setegid(before) != 0)
        return false;
    errno = reason;
    return changed;
}

/* fchmod(2) refuses a descriptor of O_PATH, which alone opens a socket's file. */
static bool change_mode(int file, mode_t mode)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return chmod(path, mode) == 0;
}

/* The admin page (no frontend) is for its own user. */
static bool change_file(int file, const struct frontend_config *frontend)
{
    if (frontend == NULL)
        return change_mode(file, S_IRUSR | S_IWUSR);
    uid_t user = frontend->socket_user;
    gid_t group = frontend->socket_group;
    return (group == (gid_t)-1 || change_group(file, group)) &&
           change_mode(file, frontend->socket_mode) &&
           (user == (uid_t)-1 || fchownat(file, "", user, (gid_t)-1, AT_EMPTY_PATH) == 0);
}

/* The file of a unix socket: whose it is, and who may connect. */
static bool begin_file(const struct listening *listening, const struct frontend_config *frontend)
{
    if (!is_unix(&listening->address) || listening->thread > 0)
        return true;
    int file = open_file(listening);
    bool good = file >= 0 && change_file(file, frontend);
    int reason = errno;
    descriptor_close(&file);
    errno = reason;
    return good;
}

bool listening_begin(struct listening *listening, const struct config *config,
                     const struct frontend_config *frontend, const struct address *address,
                     struct conf_error *error)
{
    /* Also for one that listens already: the backlog may be another. */
    if (begin_file(listening, frontend) &&
        listen(listening->socket, (int)config->listen_backlog) == 0)
        return true;
    describe(config, address, error);
    return false;
}

void listening_release(struct listening *listening)
{
    if (--listening->users > 0)
        return;
    bool shared = listening->lent || listening_is_activated(listening) ||
                  (is_unix(&listening->address) && listening->thread > 0);
    if (listening->bound && is_unix(&listening->address) && !shared && can_be_reached(listening))
        unlink(path_of(listening));
    /* A worker that drains may have it open still, and would leave clients in its queue. */
    if (!shared)
        shutdown(listening->socket, SHUT_RDWR);
    list_remove(&listening->node);
    close(listening->socket);
    free(listening);
}

void listening_lend(const struct list *all)
{
    list_for_each(node, all) list_entry(node, struct listening, node)->lent = true;
}

void listening_end_loan(const struct list *all, bool kept)
{
    list_for_each(node, all)
    {
        struct listening *listening = list_entry(node, struct listening, node);
        if (!listening->lent)
            continue;
        listening->lent = !kept;
        listening_release(listening);
    }
}
