/* The client's end of a relay: by TLS, or as it is. */
#ifndef PROXY_WORKER_RELAY_CLIENT_END_H
#define PROXY_WORKER_RELAY_CLIENT_END_H

#include "proxy/worker/relay/state.h"

#define RECORD_SIZE SSL3_RT_MAX_PLAIN_LENGTH

/* The result of an attempt to move bytes. */
enum moved {
    MOVED_ALL,     /* all that there was, or there was nothing */
    MOVED_BLOCKED, /* the destination takes no more for now */
    MOVED_BROKEN   /* the connection cannot go on: relay->end says why */
};

struct client_end {
    /* Reads up to RECORD_SIZE bytes. */
    enum moved (*read)(struct relay *relay, uint8_t *bytes, size_t *length);
    enum moved (*write)(struct relay *relay, const uint8_t *bytes, size_t length, size_t *sent);
    /* Tells the client that nothing more follows, as far as it can be told before the FIN. False:
     * that has to wait until the client takes more bytes. */
    bool (*finish)(struct relay *relay);
};

extern const struct client_end client_end_tls, client_end_plain;

#endif
