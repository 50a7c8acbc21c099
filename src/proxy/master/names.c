#include "proxy/master/names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "proxy/master/processes.h"
#include "proxy/resolver/resolver.h"

static bool has_names(const struct proxy_config *config)
{
    for (size_t i = 0; i < config->backend_count; i++)
        if (config->backends[i].address.host != NULL)
            return true;
    return false;
}

void names_inherit(struct generation *generation, const struct generation *before)
{
    for (size_t i = 0; before != NULL && i < generation->config->backend_count; i++) {
        struct backend_config *backend = &generation->config->backends[i];
        for (size_t j = 0; j < before->config->backend_count; j++) {
            const struct backend_config *known = &before->config->backends[j];
            if (backend->address.host != NULL && known->address.host != NULL &&
                strcmp(backend->address.host, known->address.host) == 0 &&
                backend->address.port == known->address.port)
                backend->addresses = known->addresses;
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

/* It ends when its socket does. */
void names_stop(struct generation *generation)
{
    watch_close_shared(generation->setup->loop, &generation->names);
    back_off_stop(&generation->resolver.back_off);
}

const struct backend_config *names_missing(const struct generation *generation)
{
    const struct proxy_config *config = generation->config;
    for (size_t i = 0; i < config->backend_count; i++)
        if (config->backends[i].addresses.count == 0)
            return &config->backends[i];
    return NULL;
}

void names_describe(const struct generation *generation, const struct backend_config *missing,
                    char *text, size_t size)
{
    snprintf(text, size, "%s:%d: backend \"%s\": address: '%s': %s", generation->config->file,
             missing->address.line, missing->name, missing->address.host,
             missing->trouble[0] != '\0' ? missing->trouble
                                         : "the name servers do not answer in time");
}

/* Logs trouble only when it changes. */
static void note_trouble(const struct proxy_config *config, struct backend_config *backend,
                         const char *trouble)
{
    if (strcmp(backend->trouble, trouble) == 0)
        return;
    snprintf(backend->trouble, sizeof backend->trouble, "%s", trouble);
    if (backend->addresses.count == 0)
        return; /* the generation does not come up, and logs the reason itself */
    if (trouble[0] != '\0')
        log_warning("%s:%d: backend \"%s\": address: '%s': %s; its last addresses hold",
                    config->file, backend->address.line, backend->name, backend->address.host,
                    trouble);
    else
        log_info("%s:%d: backend \"%s\": address: '%s' is found again", config->file,
                 backend->address.line, backend->name, backend->address.host);
}

static void take_answer(struct generation *generation, struct resolver_answer *answer,
                        void (*changed)(struct generation *, uint32_t backend))
{
    struct proxy_config *config = generation->config;
    answer->reason[sizeof answer->reason - 1] = '\0';
    if (answer->backend >= config->backend_count)
        return;
    struct backend_config *backend = &config->backends[answer->backend];
    /* an attacker in the resolver could name another host, but no unix socket and no other port */
    if (backend->address.host == NULL ||
        !server_addresses_are_hosts(&answer->addresses, backend->address.port))
        return;
    bool another = answer->addresses.count > 0 &&
                   !server_addresses_same(&answer->addresses, &backend->addresses);
    if (another && backend->addresses.count > 0)
        log_info("%s:%d: backend \"%s\": address: '%s' has other addresses now: %u of them",
                 config->file, backend->address.line, backend->name, backend->address.host,
                 answer->addresses.count);
    if (another) {
        backend->addresses = answer->addresses;
        changed(generation, answer->backend);
    }
    note_trouble(config, backend, answer->reason);
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
