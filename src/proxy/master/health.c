#include "proxy/master/health.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/checker/checker.h"
#include "proxy/master/processes.h"

static const struct backend_config *backend_of(const struct proxy_config *config,
                                               const struct server_config *server)
{
    return &config->backends[server->backend];
}

static bool has_checks(const struct proxy_config *config)
{
    for (size_t i = 0; i < config->backend_count; i++)
        if (config->backends[i].check.kind != CHECK_NONE)
            return true;
    return false;
}

/* ---- from one configuration to the next ---- */

/* A server that is not checked any more has no verdict, for nobody would change it. */
static void inherit_server(const struct backend_config *backend, struct server_config *server,
                           const struct backend_config *before)
{
    const struct server_config *known = config_find_server(before, server->address.text);
    if (known == NULL)
        return;
    server->trial_at = known->trial_at;
    server->pause = known->pause;
    if (backend->check.kind != CHECK_NONE)
        server->verdict = known->verdict;
}

void health_inherit(struct generation *generation, const struct generation *before)
{
    struct proxy_config *config = generation->config;
    for (size_t i = 0; before != NULL && i < config->backend_count; i++) {
        const struct backend_config *backend = &config->backends[i];
        const struct backend_config *known = config_find_backend(before->config, backend->name);
        for (size_t j = 0; known != NULL && j < backend->server_count; j++)
            inherit_server(backend, &backend->servers[j], known);
    }
}

/* ---- what the worker finds out ---- */

/* A worker could lie, but not so that a server is paused for longer than the configuration says. */
void health_note_pause(struct generation *generation, uint32_t server, uint64_t pause)
{
    struct proxy_config *config = generation->config;
    if (server >= config->server_count)
        return;
    struct server_config *noted = &config->servers[server];
    uint64_t most = backend_of(config, noted)->failure_pause_max;
    noted->pause = pause < most ? pause : most;
    noted->trial_at = pause > 0 ? clock_now() + noted->pause : 0;
}

/* ---- the checker ---- */

static int run(const struct generation *generation, const void *arg, int socket)
{
    (void)arg;
    return checker_run(generation->config, socket);
}

bool health_start(struct generation *generation)
{
    if (!has_checks(generation->config) || generation->setup->test)
        return true;
    back_off_stop(&generation->checker.back_off);
    generation->owed = (struct owed){0}; /* it is forked with all */
    return helper_start(generation, &generation->checker, &generation->health, run, NULL);
}

/* It has nothing to finish, and may hang. */
void health_stop(struct generation *generation)
{
    watch_close_shared(generation->setup->loop, &generation->health);
    back_off_stop(&generation->checker.back_off);
    child_signal(&generation->checker, SIGKILL);
}

static bool send_server(const struct generation *generation, uint32_t server)
{
    const struct server_config *config = &generation->config->servers[server];
    struct checker_server message = {.server = server,
                                     .rests = config->setting.mode == MODE_DISABLED};
    message.addresses = config->addresses;
    return send(generation->health.descriptor, &message, sizeof message,
                MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof message ||
           errno != EAGAIN;
}

static void pay(struct generation *generation)
{
    struct owed *owed = &generation->owed;
    while (owed_any(owed) && send_server(generation, owed->from))
        owed->from++;
    watch_want(generation->setup->loop, &generation->health,
               EPOLLIN | (owed_any(owed) ? EPOLLOUT : 0));
}

void health_send_server(struct generation *generation, uint32_t server)
{
    if (generation->health.descriptor < 0)
        return;
    owed_add(&generation->owed, server);
    pay(generation);
}

/* ---- its reports ---- */

/* The checker reads what servers send, so its words are not taken as they are. */
static void copy_reason(char to[VERDICT_REASON_SIZE], const char *from)
{
    memset(to, 0, VERDICT_REASON_SIZE);
    for (size_t i = 0; i < VERDICT_REASON_SIZE - 1 && from[i] != '\0'; i++)
        to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
}

static void log_change(const struct backend_config *backend, const struct server_config *server,
                       enum server_health before)
{
    const struct server_verdict *verdict = &server->verdict;
    enum log_level level = verdict->health == HEALTH_DOWN ? LOG_LEVEL_WARNING
                           : before == HEALTH_DOWN        ? LOG_LEVEL_INFO
                                                          : LOG_LEVEL_DEBUG;
    log_write(level, "backend \"%s\": server %s: %s -> %s: check: %s", backend->name,
              server->address.text, server_health_name(before), server_health_name(verdict->health),
              verdict->reason);
}

static void take_report(struct generation *generation, const struct checker_report *report,
                        void (*changed)(struct generation *, uint32_t server))
{
    struct proxy_config *config = generation->config;
    if (report->server >= config->server_count ||
        (report->health != HEALTH_UP && report->health != HEALTH_DOWN))
        return;
    struct server_config *server = &config->servers[report->server];
    struct server_verdict *verdict = &server->verdict;
    enum server_health before = verdict->health;
    if (before == report->health || backend_of(config, server)->check.kind == CHECK_NONE)
        return;
    if (report->health == HEALTH_UP)
        server->trial_at = 0; /* as in the worker: a good check ends a pause */
    verdict->health = report->health;
    verdict->changes++;
    verdict->since = clock_wall() / NS_PER_S;
    copy_reason(verdict->reason, report->reason);
    log_change(backend_of(config, server), server, before);
    changed(generation, report->server);
}

void health_ready(struct generation *generation, void (*changed)(struct generation *, uint32_t))
{
    struct checker_report report;
    ssize_t length;
    pay(generation);
    while ((length = recv(generation->health.descriptor, &report, sizeof report,
                          MSG_TRUNC | MSG_DONTWAIT)) == (ssize_t)sizeof report)
        take_report(generation, &report, changed);
    if (length >= 0 || errno != EAGAIN) /* the checker ends, which SIGCHLD reports */
        watch_want(generation->setup->loop, &generation->health, 0);
}
