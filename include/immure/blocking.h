/*
 * libimmure for programs without an event loop: one request, and wait for its answer.
 *
 * A lost connection is replaced and the request is sent again, until the time limit; so an immured
 * that is killed and restarted costs time, not an error.
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
 * How an exchange gets a connection: returns a connected stream socket, which the exchange owns and
 * closes, or -1 with errno; it will be asked again, a little later, until the time limit is
 * reached, unless errno says what will not pass, as EACCES does. An application that closes the
 * socket behind the exchange's back (closefrom(3)) loses nothing: the exchange sees that the number
 * is not its socket's any more, and leaves it alone.
 */
typedef int immure_connect(void *arg);

/* Nothing is connected yet. NULL on lack of memory. */
struct immure_blocking *immure_blocking_new(immure_connect *connect, void *arg);
/* The same, connecting to a unix socket; the path is copied. At most 107 bytes. One that begins
 * with '@' is a name in the abstract namespace of Linux, which no chroot() hides, and which anybody
 * can take while no immured has it: see the next. */
struct immure_blocking *immure_blocking_unix(const char *path);
/* From the next connection on, whoever began to listen must be this user, as SO_PEERCRED tells it
 * (unix(7)); else requests end with IMMURE_E_LISTENER. Of a socket that systemd listens on for
 * immured, that is root. Before the first request. */
void immure_blocking_demand_user(struct immure_blocking *blocking, uid_t user);
/* Closes the connection. NULL is allowed. */
void immure_blocking_free(struct immure_blocking *blocking);

/*
 * Signs and waits, at most `timeout` nanoseconds (from now; must be > 0). The signature is written
 * to `signature`, which has room for IMMURE_SIGNATURE_MAX bytes; *reply tells the rest (its
 * pointers lead to literals, to `signature`, and to text that stays until the next call). Returns
 * reply->error. An IMMURE_E_IO leaves in errno why there was no connection.
 */
enum immure_error immure_blocking_sign(struct immure_blocking *blocking,
                                       const struct immure_sign_request *request, uint64_t timeout,
                                       uint8_t *signature, struct immure_signature *reply);
/* The same for a decryption; `premaster` has room for IMMURE_PREMASTER_SIZE bytes. */
enum immure_error immure_blocking_decrypt(struct immure_blocking *blocking,
                                          const struct immure_decrypt_request *request,
                                          uint64_t timeout, uint8_t *premaster,
                                          struct immure_decrypted *reply);
/* Calls back for each key as immure_list() does, before it returns how it ended. */
enum immure_error immure_blocking_list(struct immure_blocking *blocking, uint64_t timeout,
                                       immure_list_callback *callback, void *arg);
enum immure_error immure_blocking_stats(struct immure_blocking *blocking, uint64_t timeout,
                                        immure_stats_callback *callback, void *arg);
enum immure_error immure_blocking_ticket_keys(struct immure_blocking *blocking, uint64_t timeout,
                                              immure_ticket_keys_callback *callback, void *arg);
enum immure_error immure_blocking_ping(struct immure_blocking *blocking, uint64_t timeout);

#ifdef __cplusplus
}
#endif

#endif
