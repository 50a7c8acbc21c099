/*
 * What can go wrong, on the wire and in libimmure. One list for both, because most of what a caller
 * of libimmure gets to see was said by immured.
 */
#ifndef IMMURE_ERROR_H
#define IMMURE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

enum immure_error {
    IMMURE_OK = 0,

    /* Said by immured about a stream; the connection ends after it. */
    IMMURE_E_MAGIC = 1,         /* the stream does not begin with HELLO of this protocol */
    IMMURE_E_VERSION = 2,       /* no protocol version in common */
    IMMURE_E_FRAME_TYPE = 3,    /* a frame type this end does not take, or at the wrong time */
    IMMURE_E_FRAME_SIZE = 4,    /* a length that this frame type cannot have */
    IMMURE_E_MALFORMED = 5,     /* a payload that does not parse */
    IMMURE_E_STALLED = 6,       /* the peer does not read its replies */
    IMMURE_E_PEER = 7,          /* this user may not use immured */
    IMMURE_E_FRAME_VERSION = 8, /* a frame that the agreed protocol version does not have */

    /* Said by immured about one request; nothing else is touched. */
    IMMURE_E_UNKNOWN_KEY = 32, /* no key with this id */
    IMMURE_E_SCHEME = 33,      /* the key cannot sign under this SignatureScheme */
    IMMURE_E_POLICY = 34,      /* the key's policy does not allow this message */
    IMMURE_E_BUSY = 35,        /* the queue is full; ask again later */
    IMMURE_E_EXPIRED = 36,     /* the deadline passed before the work was begun */
    IMMURE_E_CANCELLED = 37,   /* cancelled by its owner */
    IMMURE_E_SIGNING = 38,     /* the signing backend failed, or its result did not verify */
    IMMURE_E_DEVICE = 39,      /* the device that holds the key is away; ask again later */
    IMMURE_E_NO_TICKETS = 40,  /* immured has no secret for session tickets */

    /* Said by libimmure; never on the wire. */
    IMMURE_E_MEMORY = 256,     /* out of memory */
    IMMURE_E_FULL = 257,       /* the client's own bound of requests or bytes is reached */
    IMMURE_E_ARGUMENT = 258,   /* an argument is out of its documented range */
    IMMURE_E_CLOSED = 259,     /* the client was freed with the request pending */
    IMMURE_E_TIMEOUT = 260,    /* the deadline passed without a reply */
    IMMURE_E_IO = 261,         /* a system call failed; errno says which way */
    IMMURE_E_UNEXPECTED = 262, /* a reply that does not fit its request: not an immured */
    IMMURE_E_LISTENER = 263,   /* another user listens than the one that was demanded */
    IMMURE_E_UNSUPPORTED = 264 /* the agreed protocol version does not have this request */
};

/* One line in English without a full stop; never NULL. Any thread. */
const char *immure_error_text(enum immure_error error);

#ifdef __cplusplus
}
#endif

#endif
