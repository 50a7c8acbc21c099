/* A connection to an immured, and what to say when there is none. */
#ifndef OPERATOR_CONNECTION_H
#define OPERATOR_CONNECTION_H

#include "immure/blocking.h"
#include "operator/command.h"

struct connection {
    struct immure_blocking *blocking;
    const char *socket; /* the caller's */
    uint64_t timeout;   /* ns, of each request */
    char problem[320];  /* one line, after something has failed */
};

/*
 * Connects, and waits until immured has answered. False: `problem` says why, and there is nothing
 * to close. An immured that is not there is given a moment to come back, not all of the timeout.
 */
bool connection_open(struct connection *connection, const char *socket, uint64_t timeout);
void connection_close(struct connection *connection);

/* Puts an error of a request (not IMMURE_OK) into `problem`. The status that is to be returned. */
enum exit_status connection_explain(struct connection *connection, enum immure_error error);

#endif
