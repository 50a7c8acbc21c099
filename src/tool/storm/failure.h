/* What can go wrong with one connection, and how often it did. */
#ifndef STORM_FAILURE_H
#define STORM_FAILURE_H

#include <openssl/ssl.h>

enum failure {
    FAILURE_REFUSED,
    FAILURE_CONNECT_TIMEOUT,
    FAILURE_UNREACHABLE,
    FAILURE_NO_PORT,       /* ours: no local port left */
    FAILURE_NO_DESCRIPTOR, /* ours: too many open files */
    FAILURE_HELD_UP,       /* ours: never begun, because --max-open connections were open */
    FAILURE_HANDSHAKE_TIMEOUT,
    FAILURE_RESET,
    FAILURE_CLOSED, /* end of file where more was due */
    FAILURE_VERIFY, /* the certificate */
    FAILURE_TLS,    /* what we found wrong with the server's messages */
    FAILURE_SYSTEM, /* any other errno */
    FAILURE_REPLY_TIMEOUT,
    FAILURE_REPLY,  /* not HTTP, or too long a header, or other bytes than those echoed */
    FAILURE_STATUS, /* HTTP status 400 and above */
    FAILURE_ALERT,  /* + the alert's number (RFC 8446, section 6): the server's alerts */
    FAILURE_COUNT = FAILURE_ALERT + 256
};

/* "connection refused" ... "alert: handshake failure". */
const char *failure_name(unsigned failure);

enum failure failure_of_errno(int error);
/* Why the SSL_ call just made failed, its result being `result`; empties the error queue. */
enum failure failure_of_ssl(const SSL *ssl, int result);

#endif
