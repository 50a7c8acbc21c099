/*
 * The listening sockets of all generations. One for each address and thread (SO_REUSEPORT spreads
 * the connections); a generation that wants the same address and thread as another shares its
 * socket, so that a reload loses no queued connection.
 *
 * A socket is bound when it is opened, which finds conflicts, but listens only from
 * listening_begin() on: nobody may be queued at a generation that then does not come up.
 */
#ifndef PROXY_MASTER_LISTENING_H
#define PROXY_MASTER_LISTENING_H

#include <sys/types.h>

#include "base/activation.h"
#include "base/file_identity.h"
#include "base/list.h"
#include "proxy/config/config.h"

struct listening {
    struct list node;
    struct address address; /* its text is not kept */
    bool both_families;     /* "*": IPv4 on the IPv6 socket too */
    unsigned thread;
    unsigned users; /* generations */
    bool bound;
    bool lent;  /* another master listens on it too, and goes on when this one has closed it */
    int socket; /* non-blocking */
    struct file_identity file; /* of a unix socket; all zero: there was none */
};

/* Where sockets come from. */
struct listening_setup {
    struct list *all;
    const struct activation *activation; /* those of the service manager, which stay its own */
    bool bind; /* false: they stay mere sockets, to check a configuration */
};

/* The socket for this thread and address, opened if no generation has it yet, or if the file of a
 * unix socket was removed. Threads come in rising order, from 0. NULL with *error filled. */
struct listening *listening_open(const struct listening_setup *setup, const struct config *config,
                                 const struct address *address, unsigned thread,
                                 struct conf_error *error);
/* A bound socket of the master before: it is lent, and the caller is its first user. False with
 * errno. */
bool listening_inherit(struct list *all, int socket, unsigned thread);
/* From now on clients can connect; a unix socket's file gets its owner and mode from `frontend`
 * (NULL: the admin page's). False with *error filled. */
bool listening_begin(struct listening *listening, const struct config *config,
                     const struct frontend_config *frontend, const struct address *address,
                     struct conf_error *error);
/* Whether it is one of the service manager's. */
bool listening_is_activated(const struct listening *listening);
/* Closes it when this was its last user. */
void listening_release(struct listening *listening);
/* From now on another master has all of them too. */
void listening_lend(const struct list *all);
/* Of those inherited: they are ours alone, or (not `kept`) the other master's. Those that no
 * generation uses are closed. */
void listening_end_loan(const struct list *all, bool kept);

#endif
