/* The ways in which a connection can fail. */
#ifndef STORM_FAILURE_H
#define STORM_FAILURE_H

#include <openssl/ssl.h>

enum failure {
    FAILURE_REFUSED,
    FAILURE_CONNECT_TIMEOUT,
    FAILURE_UNREACHABLE,
    FAILURE_NO_PORT,       /* ours: no local port left */
    FAILURE_NO_DESCRIPTOR, /* ours: too many open files */
    FAILURE_HELD_UP,       /* ours: never started, because --max-open connections were open */
    FAILURE_HANDSHAKE_TIMEOUT,
    FAILURE_RESET,
    FAILURE_CLOSED, /* unexpected end of file */
    FAILURE_VERIFY, /* the certificate */
    FAILURE_TLS,    /* we found an error in the server's messages */
    FAILURE_SYSTEM, /* any other errno */
    FAILURE_REPLY_TIMEOUT,
    FAILURE_REPLY,  /* not HTTP, a header that is too long, or an echo that differs */
    FAILURE_STATUS, /* HTTP status 400 and above */
    FAILURE_ALERT,  /* + the alert's number (RFC 8446, section 6): the server's alerts */
    FAILURE_COUNT = FAILURE_ALERT + 256
};

/* "connection refused" ... "alert: handshake failure". */
const char *failure_name(unsigned failure);

enum failure failure_of_errno(int error);
/* Why the last SSL_ call, which returned `result`, failed. Clears the error queue. */
enum failure failure_of_ssl(const SSL *ssl, int result);

#endif
