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
#include "daemon/unix_socket.h"
#include "proxy/config/address.h"

static bool is_unix(const struct address *address)
{
    return address->socket.ss_family == AF_UNIX;
}

/* libconfuse removes the star from "*:443" if it has no quotes. */
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

static const char *path_of(const struct address *address)
{
    return ((const struct sockaddr_un *)&address->socket)->sun_path;
}

static bool bind_socket(int socket, const struct address *address, bool reuse_port)
{
    if (is_unix(address)) /* nobody may connect before the file has its owner and mode */
        return unix_socket_bind(socket, path_of(address), 0);
    if (!set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1) ||
        (reuse_port && !set_option(socket, SOL_SOCKET, SO_REUSEPORT, 1)) ||
        (address->socket.ss_family == AF_INET6 &&
         !set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, !wants_both_families(address))))
        return false;
    return bind(socket, (const struct sockaddr *)&address->socket, address->length) == 0;
}

/* With SO_REUSEPORT a second master of the same user would silently share the port. */
static bool port_is_free(const struct address *address)
{
    int probe = open_socket(address);
    bool free = probe >= 0 && bind_socket(probe, address, false);
    int reason = errno;
    descriptor_close(&probe);
    errno = reason;
    return free;
}

/* A socket that no process serves any more is removed. Any other file stays, and is reported as a
 * taken port is. */
static bool path_is_free(const struct address *address)
{
    bool free = unix_socket_clear(path_of(address), 0);
    if (!free && errno == ENOTSOCK)
        errno = EADDRINUSE;
    return free;
}

bool listening_is_there(const struct listening *listening)
{
    return !is_unix(&listening->address) ||
           unix_socket_is_there(path_of(&listening->address), &listening->file);
}

/* A unix socket whose file is gone is not found: only the generations that have it go on with it.
 */
static struct listening *find(const struct list *all, const struct address *address,
                              unsigned thread)
{
    list_for_each(node, all)
    {
        struct listening *listening = list_entry(node, struct listening, node);
        if (listening->thread == thread && address_equal(&listening->address, address) &&
            listening->both_families == wants_both_families(address) &&
            listening_is_there(listening))
            return listening;
    }
    return NULL;
}

/* Unix sockets have no SO_REUSEPORT, so all threads share one, each with its own descriptor. */
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

/* All threads share the socket of the service manager, each with its own descriptor. */
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

static void describe(const struct proxy_config *config, const struct address *address,
                     struct conf_error *error)
{
    snprintf(error->text, sizeof error->text, "%s:%d: cannot listen on %s: %s", config->file,
             address->line, address->text, reason_for(address, errno));
}

struct listening *listening_open(const struct listening_setup *setup,
                                 const struct proxy_config *config, const struct address *address,
                                 unsigned thread, struct conf_error *error)
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
    if (is_unix(&listening->address))
        unix_socket_identify(path_of(&listening->address), &listening->file);
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
    if (is_unix(&listening->address))
        unix_socket_identify(path_of(&listening->address), &listening->file);
    list_append(all, &listening->node);
    return true;
}

bool listening_is_activated(const struct listening *listening)
{
    return address_activated(&listening->address) != NULL;
}

/* The admin page (no frontend) is for the master's own user. */
static struct unix_socket_access access_of(const struct frontend_config *frontend)
{
    const uid_t same_user = (uid_t)-1;
    const gid_t same_group = (gid_t)-1;
    return frontend == NULL
               ? (struct unix_socket_access){S_IRUSR | S_IWUSR, same_user, same_group}
               : (struct unix_socket_access){frontend->socket_mode, frontend->socket_user,
                                             frontend->socket_group};
}

/* The threads share one file. */
static bool begin_file(const struct listening *listening, const struct frontend_config *frontend)
{
    const struct unix_socket_access access = access_of(frontend);
    return !is_unix(&listening->address) || listening->thread > 0 ||
           unix_socket_set_access(path_of(&listening->address), &listening->file, &access);
}

bool listening_begin(struct listening *listening, const struct proxy_config *config,
                     const struct frontend_config *frontend, const struct address *address,
                     struct conf_error *error)
{
    /* It may listen already, but with another backlog. */
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
    if (listening->bound && is_unix(&listening->address) && !shared)
        unix_socket_remove(path_of(&listening->address), &listening->file);
    /* A draining worker may still have it open, and would leave clients in its queue. */
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
