/*
 * Checks the servers of backends, in a process of its own: it has neither the keys nor the clients
 * of a worker, and what a server answers to a check is read nowhere else. Each generation has one,
 * if its configuration has checks.
 *
 * A bounded number of checks runs at a time, and the first checks are spread over their interval,
 * so that thousands of servers are not checked at once.
 */
#ifndef PROXY_CHECKER_CHECKER_H
#define PROXY_CHECKER_CHECKER_H

#include "proxy/config/config.h"

/* What the checker sends over its SOCK_SEQPACKET socket when its verdict on a server changes. */
struct checker_report {
    uint32_t server; /* its number in the configuration */
    enum server_health health;
    char reason[VERDICT_REASON_SIZE]; /* of the last check */
};

/* What the master sends: the present state of a server, of which something has changed. */
struct checker_server {
    uint32_t server;
    bool rests; /* the operator has disabled it: it is not checked */
    struct server_addresses addresses;
};

/* Runs in the child, as an unprivileged user, until the socket's other end is closed. It begins
 * with the verdicts in the configuration. Returns the exit status. */
int checker_run(const struct proxy_config *config, int socket);

#endif
