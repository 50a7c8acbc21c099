/*
 * The event loop of immured, which runs on one thread. Clients come from listening sockets or over
 * a connected one; signals arrive as events.
 *
 * A turn takes all events, then input, then finished jobs. Then it writes all replies of each
 * session at once, and ends the sessions that do not read or have not sent HELLO in time. Each part
 * has a bound, so that no client can make a turn long. Input is taken for SERVER_INPUT_TIME, from
 * one account after another: SESSION_FRAMES_AT_ONCE frames of one session each. The rest waits for
 * the next turn, behind the others.
 */
#ifndef KEYD_FRONT_SERVER_H
#define KEYD_FRONT_SERVER_H

#include "keyd/front/core.h"

/* Sets up everything but clients. Blocks the signals that the loop reads, so it must be called
 * before threads start. `supervised`: the supervisor handles SIGINT. False: reason logged. */
bool server_init(struct keyd_server *server, const struct server_config *config,
                 struct keyring *keyring, struct scheduler *scheduler, uid_t starter,
                 bool supervised);
/* Takes over a listening socket, or a connected one. False: reason logged. */
bool server_listen(struct keyd_server *server, int socket);
bool server_add_session(struct keyd_server *server, int socket);
/* Runs until the server is stopped, or the last session ends and there is no listener. Returns
 * whether every accepted request was answered. */
bool server_run(struct keyd_server *server);
void server_destroy(struct keyd_server *server);

#endif
