/*
 * A connection to immured that is made when it is needed and replaced when it is lost, one step at
 * a time and without waiting. How to wait between the steps is up to the caller: blocking.c waits
 * in poll(), the OpenSSL provider may also pause an async job.
 */
#ifndef CLIENT_EXCHANGE_H
#define CLIENT_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/file_identity.h"
#include "immure/blocking.h"

struct immure_blocking {
    immure_connect *connect;
    void *arg;
    struct immure_client *client;
    int socket; /* -1: none */
    /* The application may have closed the socket behind our back, and the descriptor may belong to
     * another file by now. */
    struct file_identity identity;
    pid_t pid;         /* the process that the connection belongs to */
    bool demands_user; /* the listening process must be of `user` */
    uid_t user;
    bool used;             /* the connection has answered a request */
    int refused;           /* errno of the last attempt to connect; 0: it succeeded */
    uint64_t back_off;     /* the pause before the next attempt to connect, ns */
    uint64_t next_attempt; /* the earliest time to connect, absolute, ns */
    struct sockaddr_un address;
    socklen_t address_length;
};

/* What to wait for before the next step. */
struct exchange_wait {
    int descriptor; /* -1: none */
    short events;   /* POLLIN, POLLOUT */
    uint64_t until; /* absolute, ns; UINT64_MAX: no limit */
};

/*
 * Connects if there is no connection and the time has come, sends, and receives if the descriptor
 * may be `ready`. A connection that no longer belongs to this process is left alone and replaced:
 * after fork() the other process uses it, and after closefrom() its descriptor may belong to
 * another file. A lost connection is no error, nor is nonsense on a connection that has answered
 * before, nor a failure to connect that may pass. An error means that the peer is no immured, that
 * it refuses this client, or that waiting will not help.
 */
enum immure_error exchange_step(struct immure_blocking *exchange, uint64_t now, bool ready,
                                struct exchange_wait *wait);
/* Waits as `wait` says. Returns whether the descriptor may be ready. */
typedef bool exchange_waiter(void *arg, const struct exchange_wait *wait);
/* Waits in poll(); the argument is not used. */
exchange_waiter exchange_poll;
/* Steps and waits in turn until *done is true, or until `deadline` or an error: then it cancels the
 * request and drops the connection. IMMURE_E_IO: there was no connection, and exchange->refused
 * says why. */
enum immure_error exchange_run(struct immure_blocking *exchange, const bool *done,
                               immure_request_id id, uint64_t deadline, exchange_waiter *waiter,
                               void *arg);
/* The text of an error from exchange_run() or immure_blocking_request(): the reason why there was
 * no connection, or immure_error_text(). */
const char *exchange_error_text(const struct immure_blocking *exchange, enum immure_error error);

#endif
