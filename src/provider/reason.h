/* Why an operation of the provider failed, as reported on OpenSSL's error queue. */
#ifndef PROVIDER_REASON_H
#define PROVIDER_REASON_H

#include "immure/error.h"
#include "provider/instance.h"

enum reason {
    REASON_NO_KEY = 1,
    REASON_PUBLIC_KEY,
    REASON_PRIVATE_EXPORT,
    REASON_NOT_OURS,
    REASON_REFERENCE,
    REASON_URI,
    REASON_PARAMETER,
    REASON_SCHEME,
    REASON_DIGEST,
    REASON_ONE_SHOT,
    REASON_PADDING,
    REASON_MESSAGE_SIZE,
    REASON_OUTPUT_SIZE,
    REASON_NO_WAITER,
    REASON_NO_BLOCKING,
    REASON_REQUEST,
    REASON_PAUSE,
    REASON_CANCELLED,
    REASON_CONNECTION,
    REASON_TIMEOUT,
    REASON_PROTOCOL,
    REASON_PEER,
    REASON_UNKNOWN_KEY,
    REASON_POLICY,
    REASON_IMMURED,
    REASON_SETTING,
    REASON_UNKNOWN_PARAMETER,
    REASON_MEMORY,
    REASON_LISTENER
};

/* For OSSL_FUNC_PROVIDER_GET_REASON_STRINGS. */
extern const OSSL_ITEM reason_strings[];

/* The reason for an error of libimmure other than IMMURE_OK. */
enum reason reason_of(enum immure_error error);

/* Puts a reason on the error queue, with a detail in printf()'s format (NULL: none). */
void reason_raise(const struct provider *provider, const char *file, int line, const char *function,
                  enum reason reason, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

#define RAISE(provider, ...) reason_raise(provider, __FILE__, __LINE__, __func__, __VA_ARGS__)

#endif
