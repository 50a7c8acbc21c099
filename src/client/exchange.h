/*
 * A connection to immured that is made when it is needed and made again when it is lost, one step
 * at a time and without waiting. Who waits in between is the caller's affair: blocking.c does it in
 * poll(), the OpenSSL provider also in a paused async job.
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
    /* The socket's: the application may have closed it, and its number may be that of another file
     * by now. */
    struct file_identity identity;
    pid_t pid;         /* whose connection it is */
    bool demands_user; /* `user` must be who listens */
    uid_t user;
    bool used;             /* a request has been answered on it */
    int refused;           /* errno of the last attempt to connect; 0: it succeeded */
    uint64_t back_off;     /* between the last attempt to connect and the next, ns */
    uint64_t next_attempt; /* not to connect before, absolute, ns */
    struct sockaddr_un address;
    socklen_t address_length;
};

/* What to wait for before the next step. */
struct exchange_wait {
    int descriptor; /* -1: none */
    short events;   /* POLLIN, POLLOUT */
    uint64_t until; /* absolute, ns; UINT64_MAX: as long as it takes */
};

/*
 * Connects if there is no connection and it is time to, sends, and receives if the descriptor may
 * be `ready`. A connection that is not this process's own any more is left alone, and another one
 * made: after fork() the other process goes on with it, and after closefrom() its number may be
 * that of a stranger's file. Lost connections are no error, nor is nonsense on one that has served
 * before, nor an attempt to connect whose reason may pass. What is returned says that the other end
 * is no immured or will not have this one, or that waiting will not help.
 */
enum immure_error exchange_step(struct immure_blocking *exchange, uint64_t now, bool ready,
                                struct exchange_wait *wait);
/* Waits as it is told; whether the descriptor may be ready. */
typedef bool exchange_waiter(void *arg, const struct exchange_wait *wait);
/* In poll(); the argument is not used. */
exchange_waiter exchange_poll;
/* Steps and waits by turns until *done, or until `deadline` or another error: then the request is
 * cancelled and its connection dropped. IMMURE_E_IO: there was no connection, exchange->refused
 * says why. */
enum immure_error exchange_run(struct immure_blocking *exchange, const bool *done,
                               immure_request_id id, uint64_t deadline, exchange_waiter *waiter,
                               void *arg);
/* Of an error that exchange_run() or immure_blocking_request() returned: why there was no
 * connection, or immure_error_text(). */
const char *exchange_error_text(const struct immure_blocking *exchange, enum immure_error error);

#endif
