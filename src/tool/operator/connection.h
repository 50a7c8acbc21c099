/* A connection to an immured, and the error text if there is none. */
#ifndef OPERATOR_CONNECTION_H
#define OPERATOR_CONNECTION_H

#include "immure/blocking.h"
#include "operator/command.h"

struct tool_connection {
    struct immure_blocking *blocking;
    const char *socket; /* owned by the caller */
    uint64_t timeout;   /* ns, for each request */
    char problem[320];  /* one line, after a failure */
};

/*
 * Connects, and waits until immured has answered. False: `problem` says why, and there is nothing
 * to close. If nobody listens it waits only a moment for immured to come back, not the whole
 * timeout.
 */
bool connection_open(struct tool_connection *connection, const char *socket, uint64_t timeout);
void connection_close(struct tool_connection *connection);

/* Describes the error of a request (not IMMURE_OK) in `problem`. Returns the exit status for it. */
enum exit_status connection_explain(struct tool_connection *connection, enum immure_error error);

#endif
