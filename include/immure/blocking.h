/*
 * libimmure for programs without an event loop: submits one request, and waits for its answer.
 *
 * A lost connection is replaced and the request is sent again, until the time limit; so an immured
 * that is killed and restarted costs time, but does not cause an error.
 *
 * Threads: an exchange belongs to one thread at a time.
 */
#ifndef IMMURE_BLOCKING_H
#define IMMURE_BLOCKING_H

#include <sys/types.h>

#include "immure/client.h"

#ifdef __cplusplus
extern "C" {
#endif

struct immure_blocking;

/*
 * How an exchange gets a connection: returns a connected stream socket, which the exchange then
 * owns and closes, or -1 with errno. After a failure it is called again, a little later, until the
 * time limit, unless errno names a reason that waiting does not change, such as EACCES. An
 * application that closes the socket behind the exchange's back (closefrom(3)) does no harm: the
 * exchange sees that the descriptor no longer is its socket, and leaves it alone.
 */
typedef int immure_connect(void *arg);

/* Connects with the first request. NULL: out of memory. */
struct immure_blocking *immure_blocking_new(immure_connect *connect, void *arg);
/* The same for a unix socket. The path has at most 107 bytes and is copied. One that begins with
 * '@' is a name in the abstract namespace of Linux, which no chroot() hides, and which anybody can
 * take while no immured has it: see immure_blocking_demand_user(). NULL also if the path is too
 * long; errno says which. */
struct immure_blocking *immure_blocking_unix(const char *path);
/* Requires that the socket is listened on by this user, as SO_PEERCRED reports it (unix(7)); with
 * another user, nothing is sent and requests end with IMMURE_E_LISTENER. If systemd listens for
 * immured, the user is root. Call it before the first request. */
void immure_blocking_demand_user(struct immure_blocking *blocking, uid_t user);
/* Closes the connection. NULL is allowed. */
void immure_blocking_free(struct immure_blocking *blocking);

/*
 * Submits the request and waits for its answer, at most `timeout` nanoseconds from now (which must
 * be more than 0), and not beyond the deadline of the request. Its callback is called before this
 * returns, whatever becomes of the request, as often as immure_request_submit() would have it
 * called; it may be NULL. It must not use the exchange. Returns the error of the last call.
 * IMMURE_E_IO: there was no connection, and errno says why.
 */
enum immure_error immure_blocking_request(struct immure_blocking *blocking,
                                          const struct immure_request *request, uint64_t timeout);

#ifdef __cplusplus
}
#endif

#endif
