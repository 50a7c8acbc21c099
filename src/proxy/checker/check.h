/*
 * The checks of one server, one after the other: a connection, the PROXY header that says that it
 * stands for no client, and then a TLS handshake or an HTTP request. So many results in a row
 * change the verdict (`rise`, `fall`).
 */
#ifndef PROXY_CHECKER_CHECK_H
#define PROXY_CHECKER_CHECK_H

#include <openssl/ssl.h>

#include "proxy/worker/backend/connect.h"

/* How long a status line is as far as it matters: "HTTP/1.1 200". */
#define STATUS_LINE 12

struct check;

/* What all checks use. */
struct checks {
    struct loop *loop;
    SSL_CTX *tls;     /* NULL: no server is checked by TLS */
    size_t running;   /* with a descriptor each */
    struct list late; /* struct check: due, but too many are running */
    /* The verdict on a server has changed. */
    void (*changed)(struct checks *checks, struct check *check);
};

struct check {
    struct checks *checks;
    const struct backend_config *backend;
    const struct server_config *config;
    struct server server; /* its addresses now */
    struct server_connection connection;
    struct timer timer; /* until the next check, or until the present one has taken too long */
    uint64_t due;       /* ns: when the present one was due, or the next one is */
    struct list late;   /* in checks->late */
    bool rests;         /* no check is made */
    bool runs;          /* a check is being made */
    bool connected;
    SSL *ssl;
    char answer[STATUS_LINE];
    size_t answered;     /* bytes of it */
    unsigned good, bad;  /* results in a row; one of them is 0 */
    struct list changed; /* for the owner: the new verdict is to be reported */
    enum server_health health;
    char reason[VERDICT_REASON_SIZE]; /* of the last result */
};

/* The first check is due at `due` (ns), unless the server is disabled. The configuration outlives
 * the check. */
void check_begin(struct check *check, struct checks *checks, const struct backend_config *backend,
                 const struct server_config *server, uint64_t due);
/* Stops the checks, of which the verdict stays as it is, or has them go on: the next is due at
 * once.
 */
void check_rest(struct check *check, bool rests);
/* Also allowed for a struct that is all zero. */
void check_end(struct check *check);

#endif
