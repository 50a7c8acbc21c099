#include "proxy/resolver/resolver.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/privilege.h"
#include "proxy/resolver/lookup.h"
#include "walls/landlock.h"

#define DNS_PORT 53

struct resolver {
    const struct config *config;
    int socket;
    struct lookup *lookups; /* one per backend; empty for backends without a name */
    struct pollfd *polls;   /* the socket first */
};

static bool has_name(const struct resolver *resolver, size_t i)
{
    return resolver->config->backends[i].address.host != NULL;
}

static bool tell(const struct resolver *resolver, size_t backend)
{
    const struct lookup *lookup = &resolver->lookups[backend];
    struct resolver_answer answer = {.backend = (uint32_t)backend, .addresses = lookup->addresses};
    if (lookup->status != ARES_SUCCESS)
        snprintf(answer.reason, sizeof answer.reason, "%s", lookup_reason(lookup->status));
    return send(resolver->socket, &answer, sizeof answer, MSG_NOSIGNAL) == (ssize_t)sizeof answer;
}

static bool tick(struct resolver *resolver, uint64_t now, uint64_t *deadline)
{
    *deadline = UINT64_MAX;
    for (size_t i = 0; i < resolver->config->backend_count; i++) {
        struct lookup *lookup = &resolver->lookups[i];
        if (!has_name(resolver, i))
            continue;
        lookup_tick(lookup, now);
        if (lookup->changed && !tell(resolver, i))
            return false;
        lookup->changed = false;
        uint64_t next = lookup_deadline(lookup, now);
        *deadline = next < *deadline ? next : *deadline;
    }
    return true;
}

/* Polls the master's socket and those of all lookups. False: the master is gone. */
static bool wait_for_answers(struct resolver *resolver, uint64_t deadline, uint64_t now)
{
    size_t count = 1, at = 1;
    resolver->polls[0] = (struct pollfd){.fd = resolver->socket, .events = POLLIN};
    for (size_t i = 0; i < resolver->config->backend_count; i++)
        count += lookup_sockets(&resolver->lookups[i], resolver->polls + count);
    if (poll(resolver->polls, count, clock_poll_timeout(deadline, now)) < 0)
        return errno == EINTR;
    for (size_t i = 0; i < resolver->config->backend_count; i++) {
        struct pollfd of_this[LOOKUP_SOCKETS];
        size_t own = lookup_sockets(&resolver->lookups[i], of_this);
        for (size_t j = 0; j < own && at < count; j++)
            lookup_ready(&resolver->lookups[i], &resolver->polls[at++]);
    }
    return resolver->polls[0].revents == 0;
}

static bool run(struct resolver *resolver)
{
    const struct config *config = resolver->config;
    resolver->lookups = calloc(config->backend_count, sizeof *resolver->lookups);
    resolver->polls = calloc(1 + config->backend_count * LOOKUP_SOCKETS, sizeof *resolver->polls);
    if (resolver->lookups == NULL || resolver->polls == NULL ||
        ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        log_error("resolver: out of memory");
        free(resolver->lookups);
        free(resolver->polls);
        return false;
    }
    for (size_t i = 0; i < config->backend_count; i++)
        lookup_init(&resolver->lookups[i], config->backends[i].address.host,
                    config->backends[i].address.port);
    uint64_t now = clock_now(), deadline;
    while (tick(resolver, now, &deadline) && wait_for_answers(resolver, deadline, now))
        now = clock_now();
    for (size_t i = 0; i < config->backend_count; i++)
        lookup_release(&resolver->lookups[i]);
    free(resolver->lookups);
    free(resolver->polls);
    ares_library_cleanup();
    return true;
}

int resolver_run(const struct config *config, int socket)
{
    const uint16_t ports[] = {DNS_PORT};
    const struct landlock_exceptions exceptions = {.files = true, .ports = ports, .port_count = 1};
    struct resolver resolver = {.config = config, .socket = socket};
    struct report walls = {0};
    char reason[256];
    if (geteuid() == 0 && !privilege_drop(config->user, reason, sizeof reason)) {
        log_error("%s: user: %s", config->file, reason);
        return EXIT_FAILURE;
    }
    landlock_apply(&exceptions, &walls);
    return run(&resolver) ? EXIT_SUCCESS : EXIT_FAILURE;
}
