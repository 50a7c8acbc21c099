#include "operator/connection.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

#define GRACE (500 * NS_PER_MS)

static void explain_system(struct tool_connection *connection, int reason)
{
    snprintf(connection->problem, sizeof connection->problem, "%s: %s%s", connection->socket,
             strerror(reason),
             reason == ENOENT || reason == ECONNREFUSED ? " (is immured running?)" : "");
}

enum exit_status connection_explain(struct tool_connection *connection, enum immure_error error)
{
    static const enum immure_error of_the_request[] = {
        IMMURE_E_UNKNOWN_KEY, IMMURE_E_SCHEME, IMMURE_E_POLICY, IMMURE_E_BUSY, IMMURE_E_EXPIRED,
        IMMURE_E_SIGNING,     IMMURE_E_DEVICE, IMMURE_E_MEMORY, IMMURE_E_FULL,
    };
    if (error == IMMURE_E_IO)
        explain_system(connection, errno);
    else
        snprintf(connection->problem, sizeof connection->problem, "%s: %s", connection->socket,
                 immure_error_text(error));
    for (size_t i = 0; i < sizeof of_the_request / sizeof of_the_request[0]; i++)
        if (error == of_the_request[i])
            return error == IMMURE_E_UNKNOWN_KEY ? EXIT_NO_KEY : EXIT_FAILED;
    return EXIT_UNREACHABLE;
}

/* libimmure retries refused connections, so the first wait is kept short. */
static enum immure_error greet(struct tool_connection *connection)
{
    uint64_t first = connection->timeout < GRACE ? connection->timeout : GRACE;
    uint64_t rest = connection->timeout - first;
    const struct immure_request ping = {.operation = IMMURE_PING};
    enum immure_error error = immure_blocking_request(connection->blocking, &ping, first);
    if (error == IMMURE_E_TIMEOUT && rest > 0)
        error = immure_blocking_request(connection->blocking, &ping, rest);
    return error;
}

bool connection_open(struct tool_connection *connection, const char *socket, uint64_t timeout)
{
    *connection = (struct tool_connection){.socket = socket, .timeout = timeout};
    connection->blocking = immure_blocking_unix(socket);
    if (connection->blocking == NULL) {
        explain_system(connection, errno);
        return false;
    }
    enum immure_error error = greet(connection);
    if (error == IMMURE_OK)
        return true;
    connection_explain(connection, error);
    connection_close(connection);
    return false;
}

void connection_close(struct tool_connection *connection)
{
    immure_blocking_free(connection->blocking);
    connection->blocking = NULL;
}
