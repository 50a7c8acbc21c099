#include "proxy/master/names.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "proxy/master/processes.h"
#include "proxy/resolver/resolver.h"

static bool has_names(const struct proxy_config *config)
{
    for (size_t i = 0; i < config->server_count; i++)
        if (config->servers[i].address.host != NULL)
            return true;
    return false;
}

void names_inherit(struct generation *generation, const struct generation *before)
{
    for (size_t i = 0; before != NULL && i < generation->config->server_count; i++) {
        struct server_config *server = &generation->config->servers[i];
        for (size_t j = 0; server->address.host != NULL && j < before->config->server_count; j++) {
            const struct server_config *known = &before->config->servers[j];
            if (known->address.host != NULL &&
                strcmp(server->address.host, known->address.host) == 0 &&
                server->address.port == known->address.port)
                server->addresses = known->addresses;
        }
    }
}

static int run(const struct generation *generation, const void *arg, int socket)
{
    (void)arg;
    return resolver_run(generation->config, socket);
}

bool names_start(struct generation *generation)
{
    if (!has_names(generation->config))
        return true;
    back_off_stop(&generation->resolver.back_off);
    return helper_start(generation, &generation->resolver, &generation->names, run, NULL);
}

/* It has nothing to finish, and may hang. */
void names_stop(struct generation *generation)
{
    watch_close_shared(generation->setup->loop, &generation->names);
    back_off_stop(&generation->resolver.back_off);
    child_signal(&generation->resolver, SIGKILL);
}

const struct server_config *names_missing(const struct generation *generation)
{
    const struct proxy_config *config = generation->config;
    for (size_t i = 0; i < config->server_count; i++)
        if (config->servers[i].addresses.count == 0)
            return &config->servers[i];
    return NULL;
}

static const char *backend_of(const struct proxy_config *config, const struct server_config *server)
{
    return config->backends[server->backend].name;
}

void names_describe(const struct generation *generation, const struct server_config *missing,
                    char *text, size_t size)
{
    snprintf(text, size, "%s:%d: backend \"%s\": address: '%s': %s", generation->config->file,
             missing->address.line, backend_of(generation->config, missing), missing->address.host,
             missing->trouble[0] != '\0' ? missing->trouble
                                         : "the name servers do not answer in time");
}

/* Logs trouble only when it changes. */
static void note_trouble(const struct proxy_config *config, struct server_config *server,
                         const char *trouble)
{
    const char *backend = backend_of(config, server);
    if (strcmp(server->trouble, trouble) == 0)
        return;
    snprintf(server->trouble, sizeof server->trouble, "%s", trouble);
    if (server->addresses.count == 0)
        return; /* the generation does not come up, and logs the reason itself */
    if (trouble[0] != '\0')
        log_warning("%s:%d: backend \"%s\": address: '%s': %s; its last addresses hold",
                    config->file, server->address.line, backend, server->address.host, trouble);
    else
        log_info("%s:%d: backend \"%s\": address: '%s' is found again", config->file,
                 server->address.line, backend, server->address.host);
}

static void take_answer(struct generation *generation, struct resolver_answer *answer,
                        void (*changed)(struct generation *, uint32_t server))
{
    struct proxy_config *config = generation->config;
    answer->reason[sizeof answer->reason - 1] = '\0';
    if (answer->server >= config->server_count)
        return;
    struct server_config *server = &config->servers[answer->server];
    /* an attacker in the resolver could name another host, but no unix socket and no other port */
    if (server->address.host == NULL ||
        !server_addresses_are_hosts(&answer->addresses, server->address.port))
        return;
    bool another = answer->addresses.count > 0 &&
                   !server_addresses_same(&answer->addresses, &server->addresses);
    if (another && server->addresses.count > 0)
        log_info("%s:%d: backend \"%s\": address: '%s' has other addresses now: %u of them",
                 config->file, server->address.line, backend_of(config, server),
                 server->address.host, answer->addresses.count);
    if (another) {
        server->addresses = answer->addresses;
        changed(generation, answer->server);
    }
    note_trouble(config, server, answer->reason);
}

void names_ready(struct generation *generation, void (*changed)(struct generation *, uint32_t))
{
    struct resolver_answer answer;
    ssize_t length;
    while ((length = recv(generation->names.descriptor, &answer, sizeof answer, MSG_TRUNC)) ==
           (ssize_t)sizeof answer)
        take_answer(generation, &answer, changed);
    if (length >= 0 || errno != EAGAIN) /* the resolver ends, which SIGCHLD reports */
        watch_want(generation->setup->loop, &generation->names, 0);
}
