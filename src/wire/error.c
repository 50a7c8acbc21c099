#include "immure/error.h"

#include <stddef.h>

static const struct {
    enum immure_error error;
    const char *text;
} texts[] = {
    {IMMURE_OK, "no error"},
    {IMMURE_E_MAGIC, "the stream does not begin with HELLO of this protocol"},
    {IMMURE_E_VERSION, "no protocol version in common"},
    {IMMURE_E_FRAME_TYPE, "a frame of an unknown type, or at the wrong time"},
    {IMMURE_E_FRAME_SIZE, "a frame of a length that its type cannot have"},
    {IMMURE_E_MALFORMED, "a frame whose payload does not parse"},
    {IMMURE_E_STALLED, "the peer does not read its replies"},
    {IMMURE_E_PEER, "this user may not use immured"},
    {IMMURE_E_FRAME_VERSION, "a frame that the agreed version of the protocol does not have"},
    {IMMURE_E_UNKNOWN_KEY, "no key with this id"},
    {IMMURE_E_SCHEME, "the key cannot sign under this SignatureScheme"},
    {IMMURE_E_POLICY, "the key's policy does not allow this message"},
    {IMMURE_E_BUSY, "the queue is full"},
    {IMMURE_E_EXPIRED, "the deadline passed before the signature was begun"},
    {IMMURE_E_CANCELLED, "cancelled"},
    {IMMURE_E_SIGNING, "the signing backend failed, or its signature did not verify"},
    {IMMURE_E_DEVICE, "the device that holds the key is away"},
    {IMMURE_E_NO_TICKETS, "no secret for session tickets is configured"},
    {IMMURE_E_MEMORY, "out of memory"},
    {IMMURE_E_FULL, "too many requests are pending in this client"},
    {IMMURE_E_ARGUMENT, "an argument is out of range"},
    {IMMURE_E_CLOSED, "the client was closed"},
    {IMMURE_E_TIMEOUT, "no reply in time"},
    {IMMURE_E_IO, "a system call failed"},
    {IMMURE_E_UNEXPECTED, "the reply does not fit its request"},
    {IMMURE_E_LISTENER, "the process that listens on the socket does not run as the required user"},
    {IMMURE_E_UNSUPPORTED, "the protocol version of this immured does not have this request"},
};

const char *immure_error_text(enum immure_error error)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].error == error)
            return texts[i].text;
    return "unknown error";
}
