#include "provider/reason.h"

#include <stdarg.h>

const OSSL_ITEM reason_strings[] = {
    {REASON_NO_KEY, (char *)"no key is set"},
    {REASON_PUBLIC_KEY, (char *)"not a public key of this type"},
    {REASON_PRIVATE_EXPORT, (char *)"the private key is in immured and stays there"},
    {REASON_PARAMETER, (char *)"a parameter that no TLS SignatureScheme has"},
    {REASON_SCHEME, (char *)"no TLS SignatureScheme for this digest and padding"},
    {REASON_MESSAGE_SIZE, (char *)"the message is empty or too long"},
    {REASON_SIGNATURE_SIZE, (char *)"the signature does not fit"},
    {REASON_NO_WAITER, (char *)"no waiter was entered on this thread"},
    {REASON_NO_BLOCKING, (char *)"no blocking exchange, and not within an async job"},
    {REASON_REQUEST, (char *)"the request was not accepted"},
    {REASON_PAUSE, (char *)"the async job could not be paused"},
    {REASON_CANCELLED, (char *)"cancelled while waiting for immured"},
    {REASON_IMMURED, (char *)"immured did not sign"},
    {0, NULL},
};

void reason_raise(const struct provider *provider, const char *file, int line, const char *function,
                  enum reason reason, const char *format, ...)
{
    va_list arguments;
    provider->new_error(provider->core);
    provider->set_error_debug(provider->core, file, line, function);
    va_start(arguments, format);
    provider->vset_error(provider->core, (uint32_t)reason, format, arguments);
    va_end(arguments);
}
