/*
 * The control socket of the master, on which an operator's tool asks it what is in force, and to
 * take what has changed. (What the master and its worker tell each other goes through the
 * `controls`.) A client sends one request and gets one answer; docs/control.md has the protocol.
 *
 * Only root and the master's own user are answered. Whatever a client does, the master never waits
 * for it: a client has a bounded request, a bounded part of its answer in memory, and a limit of
 * time; and there are CLIENTS_MAX of them at most.
 */
#ifndef PROXY_MASTER_COMMAND_SOCKET_H
#define PROXY_MASTER_COMMAND_SOCKET_H

#include "base/file_identity.h"
#include "base/list.h"
#include "conf/error.h"
#include "loop/loop.h"
#include "proxy/master/command_client.h"

/* A socket that listens, and its file. */
struct command_listener {
    struct watch watch;
    char *path; /* NULL: there is none */
    struct file_identity file;
};

struct command_socket {
    struct loop *loop;
    struct command_listener listener, next; /* in use; opened, but not in use yet */
    bool closes;                            /* none takes the place of the one in use */
    struct list clients;                    /* struct command_client */
    size_t client_count;
    struct list gone;                   /* clients to be freed at the end of the turn */
    uint64_t last_stranger, last_crowd; /* when the last such line was logged; ns */
    /* What the master is doing. */
    void (*view)(struct command_socket *socket, struct command_view *view);
};

void command_socket_init(struct command_socket *socket, struct loop *loop,
                         void (*view)(struct command_socket *socket, struct command_view *view));

/*
 * Opens a socket with this path, unless it is the one that is open. Nobody can connect until
 * command_socket_switch(), which puts it in the place of the one before; for a path that stays the
 * same there is no moment without a socket. NULL: the one before is closed. `replaces`: another
 * master serves there, and this one takes over. False with *error filled.
 */
bool command_socket_open(struct command_socket *socket, const char *path, bool replaces,
                         struct conf_error *error);
void command_socket_switch(struct command_socket *socket);
/* Forgets what was opened. */
void command_socket_drop(struct command_socket *socket);
/* Makes the file again if it is gone. */
void command_socket_restore(struct command_socket *socket);

/* The generation that was in force is not any more. */
void command_socket_forget(struct command_socket *socket);
/* No more clients are accepted; those that wait in the queue are. */
void command_socket_close(struct command_socket *socket);
/* Frees the clients that have gone. At the end of a turn. */
void command_socket_sweep(struct command_socket *socket);
/* Closes all. */
void command_socket_end(struct command_socket *socket);

#endif
