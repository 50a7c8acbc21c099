/*
 * The listening sockets of all generations. There is one for each address and thread, among which
 * SO_REUSEPORT spreads the connections. A generation with the same address and thread as another
 * shares its socket, so that a reload loses no queued connection.
 *
 * A socket is bound when it is opened, which finds conflicts, but listens only from
 * listening_begin() on: no client may wait for a generation that does not come up.
 */
#ifndef PROXY_MASTER_LISTENING_H
#define PROXY_MASTER_LISTENING_H

#include <sys/types.h>

#include "base/activation.h"
#include "base/file_identity.h"
#include "base/list.h"
#include "conf/error.h"
#include "proxy/config/config.h"

struct listening {
    struct list node;
    struct address address; /* without its text */
    bool both_families;     /* "*": the IPv6 socket takes IPv4 connections, too */
    unsigned thread;
    unsigned users; /* how many generations use it */
    bool bound;
    bool lent;  /* another master has it too, and listens on when this one has closed it */
    int socket; /* non-blocking */
    struct file_identity file; /* of a unix socket; all zero: there was none */
};

/* What opening a socket depends on. */
struct listening_setup {
    struct list *all;
    const struct activation *activation; /* the sockets of the service manager */
    bool bind; /* false: the sockets are not bound, to check a configuration */
};

/* The socket for this thread and address. It is opened if no generation has it yet, or if the file
 * of a unix socket was removed. The caller asks for thread 0 first, then for the next ones in
 * order. NULL with *error filled. */
struct listening *listening_open(const struct listening_setup *setup,
                                 const struct proxy_config *config, const struct address *address,
                                 unsigned thread, struct conf_error *error);
/* Adds a bound socket of the previous master. It is lent, and the caller is its first user. False
 * with errno. */
bool listening_inherit(struct list *all, int socket, unsigned thread);
/* From now on clients can connect. The file of a unix socket gets its owner and mode from
 * `frontend`; NULL: the socket is the admin page's. False with *error filled. */
bool listening_begin(struct listening *listening, const struct proxy_config *config,
                     const struct frontend_config *frontend, const struct address *address,
                     struct conf_error *error);
/* Whether clients still find it: nobody has removed or replaced the file of a unix socket. */
bool listening_is_there(const struct listening *listening);
/* Whether the service manager has passed it. */
bool listening_is_activated(const struct listening *listening);
/* Closes it if the caller was its last user. */
void listening_release(struct listening *listening);
/* From now on another master has all of them, too. */
void listening_lend(const struct list *all);
/* Inherited sockets now belong to this master alone, or, if not `kept`, to the other one. Those
 * that no generation uses are closed. */
void listening_end_loan(const struct list *all, bool kept);

#endif
