#include "proxy/resolver/resolver.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/privilege.h"
#include "proxy/resolver/lookup.h"
#include "walls/landlock.h"

#define DNS_PORT 53

struct resolver {
    const struct proxy_config *config;
    struct loop loop;
    struct watch master;
    struct server_lookup {
        struct lookup lookup; /* all zero if the server has no name to resolve */
        struct resolver *resolver;
        uint32_t server;
    } * lookups; /* one for each server */
};

static void tell_master(struct lookup *lookup)
{
    struct server_lookup *of = list_entry(lookup, struct server_lookup, lookup);
    struct resolver *resolver = of->resolver;
    struct resolver_answer answer = {.server = of->server, .addresses = lookup->addresses};
    if (lookup->status != ARES_SUCCESS)
        snprintf(answer.reason, sizeof answer.reason, "%s", lookup_reason(lookup->status));
    if (send(resolver->master.descriptor, &answer, sizeof answer, MSG_NOSIGNAL) !=
        (ssize_t)sizeof answer)
        loop_stop(&resolver->loop);
}

/* The master never sends anything, so an event means that it has closed its end. */
static void master_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    loop_stop(&list_entry(watch, struct resolver, master)->loop);
}

static void begin_lookups(struct resolver *resolver)
{
    const struct proxy_config *config = resolver->config;
    for (size_t i = 0; i < config->server_count; i++) {
        const struct address *address = &config->servers[i].address;
        struct server_lookup *of = &resolver->lookups[i];
        of->resolver = resolver;
        of->server = (uint32_t)i;
        if (address->host != NULL)
            lookup_begin(&of->lookup, &resolver->loop, address->host, address->port, tell_master);
    }
}

static bool run(struct resolver *resolver, int master)
{
    bool good = loop_open(&resolver->loop);
    size_t count = resolver->config->server_count;
    resolver->lookups = calloc(count, sizeof *resolver->lookups);
    watch_init(&resolver->master, master_ready);
    watch_open(&resolver->master, master, WATCH_LEVEL);
    good = good && resolver->lookups != NULL &&
           watch_want(&resolver->loop, &resolver->master, EPOLLIN) &&
           ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
    if (good) {
        begin_lookups(resolver);
        loop_run(&resolver->loop);
        for (size_t i = 0; i < count; i++)
            lookup_end(&resolver->lookups[i].lookup);
        ares_library_cleanup();
    } else {
        log_error("resolver: out of memory");
    }
    free(resolver->lookups);
    loop_close(&resolver->loop);
    return good;
}

int resolver_run(const struct proxy_config *config, int socket)
{
    const uint16_t ports[] = {DNS_PORT};
    const struct landlock_exceptions exceptions = {.files = true, .ports = ports, .port_count = 1};
    struct resolver resolver = {.config = config};
    struct report walls = {0};
    char reason[256];
    if (geteuid() == 0 && !privilege_drop(config->user, reason, sizeof reason)) {
        log_error("%s: user: %s", config->file, reason);
        return EXIT_FAILURE;
    }
    landlock_apply(&exceptions, &walls);
    return run(&resolver, socket) ? EXIT_SUCCESS : EXIT_FAILURE;
}
