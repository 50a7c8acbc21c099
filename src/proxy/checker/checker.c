#include "proxy/checker/checker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/log.h"
#include "base/privilege.h"
#include "proxy/checker/check.h"
#include "walls/landlock.h"

struct checker {
    const struct proxy_config *config;
    struct loop loop;
    struct watch master;
    struct checks checks;
    struct check *of;      /* one for each server; all zero if it is not checked */
    struct list unsettled; /* struct check: the master has not been told yet */
};

/* ---- the master ---- */

/* False: the socket has no room now, or the master has gone. */
static bool send_report(struct checker *checker, const struct check *check)
{
    struct checker_report report = {.server = (uint32_t)(check - checker->of),
                                    .health = check->health};
    memcpy(report.reason, check->reason, sizeof report.reason);
    if (send(checker->master.descriptor, &report, sizeof report, MSG_NOSIGNAL | MSG_DONTWAIT) ==
        (ssize_t)sizeof report)
        return true;
    if (errno != EAGAIN)
        loop_stop(&checker->loop);
    return false;
}

static void send_reports(struct checker *checker)
{
    list_for_each(node, &checker->unsettled)
    {
        if (!send_report(checker, list_entry(node, struct check, changed)))
            break;
        list_remove(node);
    }
    watch_want(&checker->loop, &checker->master,
               EPOLLIN | (list_empty(&checker->unsettled) ? 0 : EPOLLOUT));
}

static void note_change(struct checks *checks, struct check *check)
{
    struct checker *checker = list_entry(checks, struct checker, checks);
    if (!list_linked(&check->changed))
        list_append(&checker->unsettled, &check->changed);
    send_reports(checker);
}

static void take_server(struct checker *checker, const struct checker_server *message)
{
    if (message->server >= checker->config->server_count)
        return;
    struct check *check = &checker->of[message->server];
    check->server.addresses = message->addresses;
    if (check->checks != NULL)
        check_rest(check, message->rests);
}

static void master_ready(struct watch *watch, uint32_t events)
{
    struct checker *checker = list_entry(watch, struct checker, master);
    struct checker_server message;
    if (events & EPOLLOUT)
        send_reports(checker);
    ssize_t length = recv(watch->descriptor, &message, sizeof message, MSG_DONTWAIT);
    if (length == (ssize_t)sizeof message)
        take_server(checker, &message);
    else if (length >= 0 || errno != EAGAIN)
        loop_stop(&checker->loop);
}

/* ---- life ---- */

static size_t count_checked(const struct proxy_config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->server_count; i++)
        count += config->backends[config->servers[i].backend].check.kind != CHECK_NONE;
    return count;
}

static void begin_checks(struct checker *checker)
{
    const struct proxy_config *config = checker->config;
    size_t count = count_checked(config), number = 0;
    for (size_t i = 0; i < config->server_count; i++) {
        const struct server_config *server = &config->servers[i];
        const struct backend_config *backend = &config->backends[server->backend];
        if (backend->check.kind == CHECK_NONE)
            continue;
        uint64_t offset = backend->check.interval / count * number++;
        check_begin(&checker->of[i], &checker->checks, backend, server, clock_now() + offset);
    }
}

static bool needs_tls(const struct proxy_config *config)
{
    for (size_t i = 0; i < config->backend_count; i++)
        if (config->backends[i].check.kind == CHECK_TLS)
            return true;
    return false;
}

static bool open_checks(struct checker *checker)
{
    checker->of = calloc(checker->config->server_count + 1, sizeof *checker->of);
    checker->checks = (struct checks){.loop = &checker->loop, .changed = note_change};
    list_init(&checker->checks.late);
    list_init(&checker->unsettled);
    if (needs_tls(checker->config)) {
        checker->checks.tls = SSL_CTX_new(TLS_client_method());
        if (checker->checks.tls == NULL)
            return false;
    }
    return checker->of != NULL && loop_open(&checker->loop) &&
           watch_want(&checker->loop, &checker->master, EPOLLIN);
}

/* It can connect to the ports of servers, and open no file. */
static bool confine(const struct proxy_config *config)
{
    struct landlock_exceptions exceptions = {.files = false};
    struct report walls = {0};
    char reason[256];
    uint16_t *ports = calloc(config->server_count + 1, sizeof *ports);
    if (ports == NULL) {
        log_error("checker: out of memory");
        return false;
    }
    exceptions.port_count = config_server_ports(config, ports);
    exceptions.ports = ports;
    bool good = geteuid() != 0 || privilege_drop(config->user, reason, sizeof reason);
    if (good)
        landlock_apply(&exceptions, &walls);
    else
        log_error("%s: user: %s", config->file, reason);
    free(ports);
    return good;
}

int checker_run(const struct proxy_config *config, int socket)
{
    struct checker checker = {.config = config};
    watch_init(&checker.master, master_ready);
    watch_open(&checker.master, socket, WATCH_LEVEL);
    bool good = open_checks(&checker);
    if (!good)
        log_error("checker: out of memory");
    good = good && confine(config);
    if (good) {
        begin_checks(&checker);
        loop_run(&checker.loop);
        for (size_t i = 0; i < config->server_count; i++)
            check_end(&checker.of[i]);
    }
    SSL_CTX_free(checker.checks.tls);
    free(checker.of);
    loop_close(&checker.loop);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
