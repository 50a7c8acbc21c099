#include "storm/failure.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>

static const char *const names[FAILURE_ALERT] = {
    [FAILURE_REFUSED] = "connection refused",
    [FAILURE_CONNECT_TIMEOUT] = "connect timeout",
    [FAILURE_UNREACHABLE] = "unreachable",
    [FAILURE_NO_PORT] = "no local port left",
    [FAILURE_NO_DESCRIPTOR] = "no descriptor left",
    [FAILURE_HELD_UP] = "not begun (--max-open)",
    [FAILURE_HANDSHAKE_TIMEOUT] = "handshake timeout",
    [FAILURE_RESET] = "connection reset",
    [FAILURE_CLOSED] = "connection closed early",
    [FAILURE_VERIFY] = "certificate not verified",
    [FAILURE_TLS] = "TLS error",
    [FAILURE_SYSTEM] = "system error",
    [FAILURE_REPLY_TIMEOUT] = "reply timeout",
    [FAILURE_REPLY] = "bad reply",
    [FAILURE_STATUS] = "HTTP status 400 or above",
};

const char *failure_name(unsigned failure)
{
    static _Thread_local char text[64];
    if (failure < FAILURE_ALERT)
        return names[failure];
    snprintf(text, sizeof text, "alert: %s",
             SSL_alert_desc_string_long((int)(failure - FAILURE_ALERT)));
    return text;
}

enum failure failure_of_errno(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return FAILURE_REFUSED;
    case ETIMEDOUT:
        return FAILURE_CONNECT_TIMEOUT;
    case ENETUNREACH:
    case EHOSTUNREACH:
        return FAILURE_UNREACHABLE;
    case EADDRNOTAVAIL:
    case EADDRINUSE:
        return FAILURE_NO_PORT;
    case EMFILE:
    case ENFILE:
        return FAILURE_NO_DESCRIPTOR;
    case ECONNRESET:
    case EPIPE:
        return FAILURE_RESET;
    default:
        return FAILURE_SYSTEM;
    }
}

enum failure failure_of_ssl(const SSL *ssl, int result)
{
    int error = errno;
    int kind = SSL_get_error(ssl, result);
    unsigned long code = ERR_peek_error();
    ERR_clear_error();
    if (kind == SSL_ERROR_ZERO_RETURN)
        return FAILURE_CLOSED;
    if (kind == SSL_ERROR_SYSCALL)
        return error == 0 ? FAILURE_CLOSED : failure_of_errno(error);
    int reason = ERR_GET_REASON(code);
    if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return FAILURE_CLOSED;
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return FAILURE_VERIFY;
    /* OpenSSL's reason codes of received alerts. */
    if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
        return FAILURE_ALERT + (unsigned)(reason - SSL_AD_REASON_OFFSET);
    return FAILURE_TLS;
}
