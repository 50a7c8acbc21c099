#include "provider/reason.h"

#include <stdarg.h>
#include <stddef.h>

const OSSL_ITEM reason_strings[] = {
    {REASON_NO_KEY, (char *)"no key is set"},
    {REASON_PUBLIC_KEY, (char *)"not a public key of this type"},
    {REASON_PRIVATE_EXPORT, (char *)"the private key is in immured and stays there"},
    {REASON_NOT_OURS,
     (char *)"immure makes and takes no private keys; in openssl.cnf, `default` must "
             "stand before it, see immure-provider(7)"},
    {REASON_REFERENCE, (char *)"the key reference is damaged"},
    {REASON_URI, (char *)"not found; expected is immure:NAME or immure:NAME?socket=PATH"},
    {REASON_PARAMETER, (char *)"a parameter that no TLS SignatureScheme has"},
    {REASON_SCHEME, (char *)"no TLS SignatureScheme for this digest and padding"},
    {REASON_DIGEST, (char *)"immured signs whole messages, not digests"},
    {REASON_ONE_SHOT, (char *)"this algorithm takes the message in one piece"},
    {REASON_PADDING, (char *)"immured decrypts nothing but TLS's RSA key exchange"},
    {REASON_MESSAGE_SIZE, (char *)"the message is empty or too long"},
    {REASON_OUTPUT_SIZE, (char *)"the answer does not fit"},
    {REASON_NO_WAITER, (char *)"no waiter was entered on this thread, and no socket is known"},
    {REASON_NO_BLOCKING, (char *)"no blocking exchange, and not within an async job"},
    {REASON_REQUEST, (char *)"the request was not accepted"},
    {REASON_PAUSE, (char *)"the async job could not be paused"},
    {REASON_CANCELLED, (char *)"cancelled while waiting for immured"},
    {REASON_CONNECTION, (char *)"no connection to immured"},
    {REASON_TIMEOUT, (char *)"immured did not answer in time"},
    {REASON_PROTOCOL, (char *)"what listens there is no immured of this version"},
    {REASON_PEER, (char *)"immured does not serve this user"},
    {REASON_UNKNOWN_KEY, (char *)"immured does not have this key"},
    {REASON_POLICY, (char *)"the key's policy does not allow it"},
    {REASON_IMMURED, (char *)"immured did not sign"},
    {REASON_SETTING, (char *)"a setting in openssl.cnf is wrong"},
    {REASON_UNKNOWN_PARAMETER, (char *)"a parameter that this algorithm does not have"},
    {REASON_MEMORY, (char *)"out of memory"},
    {REASON_LISTENER, (char *)"another user listens there than peer-user says"},
    {0, NULL},
};

/* The errors that an operator or an application may need to distinguish. */
static const struct {
    enum immure_error error;
    enum reason reason;
} reasons[] = {
    {IMMURE_E_PEER, REASON_PEER},
    {IMMURE_E_UNKNOWN_KEY, REASON_UNKNOWN_KEY},
    {IMMURE_E_POLICY, REASON_POLICY},
    {IMMURE_E_IO, REASON_CONNECTION},
    {IMMURE_E_TIMEOUT, REASON_TIMEOUT},
    {IMMURE_E_EXPIRED, REASON_TIMEOUT},
    {IMMURE_E_CANCELLED, REASON_CANCELLED},
    {IMMURE_E_MAGIC, REASON_PROTOCOL},
    {IMMURE_E_VERSION, REASON_PROTOCOL},
    {IMMURE_E_UNEXPECTED, REASON_PROTOCOL},
    {IMMURE_E_FRAME_TYPE, REASON_PROTOCOL},
    {IMMURE_E_FRAME_SIZE, REASON_PROTOCOL},
    {IMMURE_E_MALFORMED, REASON_PROTOCOL},
    {IMMURE_E_FRAME_VERSION, REASON_PROTOCOL},
    {IMMURE_E_UNSUPPORTED, REASON_PROTOCOL},
    {IMMURE_E_FULL, REASON_REQUEST},
    {IMMURE_E_ARGUMENT, REASON_REQUEST},
    {IMMURE_E_LISTENER, REASON_LISTENER},
};

enum reason reason_of(enum immure_error error)
{
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].error == error)
            return reasons[i].reason;
    return REASON_IMMURED;
}

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
