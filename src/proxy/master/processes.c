#include "proxy/master/processes.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "daemon/own_process.h"
#include "daemon/title.h"
#include "daemon/unix_socket.h"
#include "proxy/config/address.h"
#include "proxy/master/keyd_text.h"
#include "proxy/worker/core/worker.h"

/* ---- immured ---- */

bool generation_needs_keyd(const struct generation *generation)
{
    return generation->config->keys.socket == NULL && config_needs_keyd(generation->config);
}

bool keyd_listen(struct generation *generation)
{
    const struct sockaddr_un any = {.sun_family = AF_UNIX};
    struct address *address = &generation->keyd_address;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0)
        return false;
    address->length = sizeof address->socket;
    /* Only the family: unix(7), "autobind". */
    if (bind(listener, (const struct sockaddr *)&any, sizeof any.sun_family) != 0 ||
        getsockname(listener, (struct sockaddr *)&address->socket, &address->length) != 0 ||
        listen(listener, SOMAXCONN) != 0) {
        int reason = errno;
        close(listener);
        errno = reason;
        return false;
    }
    generation->keyd_listener = listener;
    return true;
}

/* immured lies beside this program. */
static char *keyd_path(const struct proxy_config *config)
{
    char self[PATH_MAX];
    if (config->keys.program != NULL)
        return strdup(config->keys.program);
    if (!own_process_find_program(self))
        return NULL;
    *strrchr(self, '/') = '\0';
    return path_within(self, "immured");
}

static bool watch_hand_over(struct generation *generation)
{
    struct watch *watch = &generation->keyd_hand_over_watch;
    if (generation->keyd_hand_over.socket < 0)
        return true;
    watch_open(watch, generation->keyd_hand_over.socket, WATCH_LEVEL);
    return watch_want(generation->setup->loop, watch, EPOLLIN);
}

pid_t keyd_start(struct generation *generation)
{
    pid_t pid = -1;
    char *program = keyd_path(generation->config);
    const struct hand_over_process process = {.program = program,
                                              .config = generation->keyd_name,
                                              .text = generation->keyd_text,
                                              .listener = generation->keyd_listener,
                                              .session = -1,
                                              .keys = &generation->keyd_keys.list,
                                              .lasts = keyd_keys_wanted(generation->config)};
    if (program == NULL || !hand_over_start(&generation->keyd_hand_over, &process,
                                            &generation->keyd_names, &generation->keyd_vault, &pid))
        pid = -1;
    int reason = errno;
    free(program);
    if (pid > 0 && !watch_hand_over(generation)) {
        watch_release(generation->setup->loop, &generation->keyd_hand_over_watch);
        hand_over_end(&generation->keyd_hand_over); /* immured ends for want of its files */
    }
    errno = reason;
    return pid;
}

/* For our own immured the master itself listens. False with errno. */
static bool listens_there(const struct proxy_config *config, int connection)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (config->keys.socket == NULL || config->keys.peer_user == (uid_t)-1)
        return true;
    if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
        peer.uid == config->keys.peer_user)
        return true;
    errno = KEYD_STRANGER;
    return false;
}

const char *keyd_trouble_text(int trouble)
{
    return trouble == KEYD_STRANGER ? "another user listens there than peer-user says"
                                    : strerror(trouble);
}

int keyd_connect(const struct generation *generation)
{
    struct address address = generation->keyd_address;
    const char *path = generation->config->keys.socket;
    if (path != NULL) {
        if (!unix_socket_address(path, (struct sockaddr_un *)&address.socket))
            return -1;
        address.length = sizeof(struct sockaddr_un);
    }
    int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connection < 0 ||
        (connect(connection, (const struct sockaddr *)&address.socket, address.length) == 0 &&
         listens_there(generation->config, connection)))
        return connection;
    int reason = errno;
    close(connection);
    errno = reason;
    return -1;
}

/* ---- children without a program of their own ---- */

/* A terminal sends its signals to all processes, but only the master is to act on them: it drains.
 */
static void set_signals(void)
{
    sigset_t none;
    const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void child_begin(const struct proxy_config *config, const char *title)
{
    set_signals();
    title_set("%s", title);
    log_setup("immure-proxy", (enum log_level)config->log_level, config->log_json);
}

static int run_helper(const struct generation *generation, const char *name,
                      int (*run)(const struct generation *, const void *, int), const void *arg,
                      int socket)
{
    char title[64];
    snprintf(title, sizeof title, "immure-proxy: %s", name);
    child_begin(generation->config, title);
    metrics_history_hide(generation->setup->history);
    /* It reads what servers and name servers send, and needs no keys of session tickets. */
    OPENSSL_cleanse(generation->setup->tickets, sizeof *generation->setup->tickets);
    return descriptor_close_others(&socket, 1) ? run(generation, arg, socket) : EXIT_FAILURE;
}

bool helper_start(struct generation *generation, struct child *child, struct watch *watch,
                  int (*run)(const struct generation *generation, const void *arg, int socket),
                  const void *arg)
{
    int pair[2];
    watch_close_shared(generation->setup->loop, watch);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    watch_open(watch, pair[0], WATCH_LEVEL);
    bool watched = descriptor_set_nonblocking(pair[0], true) &&
                   watch_want(generation->setup->loop, watch, EPOLLIN);
    pid_t pid = watched ? fork() : -1;
    if (pid == 0)
        exit(run_helper(generation, child->name, run, arg, pair[1]));
    int reason = errno;
    close(pair[1]);
    if (pid > 0)
        child_started(child, pid, clock_now());
    else
        watch_close_shared(generation->setup->loop, watch);
    errno = reason;
    return pid > 0;
}

/* ---- the worker ---- */

/* In the child. `ends` are the worker's ends of the controls. */
static int run_worker(const struct generation *generation, int *ends)
{
    const struct proxy_config *config = generation->config;
    size_t total = generation->listening_count, kept = 0;
    int *sockets = calloc(total + 1, sizeof(int));
    int *keep = calloc(total + generation->control_count + 1, sizeof(int));
    int **threads = calloc(config->workers, sizeof(int *));
    if (sockets == NULL || keep == NULL || threads == NULL)
        return EXIT_FAILURE;
    for (size_t i = 0; i < total; i++)
        keep[kept++] = sockets[i] = generation->listening[i]->socket;
    for (size_t i = 0; i < generation->control_count; i++)
        keep[kept++] = ends[i];
    keep[kept++] = generation->store_memory;
    if (!descriptor_close_others(keep, kept))
        return EXIT_FAILURE;
    for (size_t i = 0; i < config->workers; i++)
        threads[i] = sockets + i * generation->address_count;
    child_begin(config, "immure-proxy: worker");
    const struct worker_setup setup = {.config = config,
                                       .listeners = threads,
                                       .admin_listener =
                                           config->admin.enabled ? sockets[total - 1] : -1,
                                       .controls = ends,
                                       .store = generation->store_memory,
                                       .tickets = *generation->setup->tickets,
                                       .again = generation->state == GENERATION_RUNNING,
                                       .history = generation->setup->history,
                                       .metrics = generation->metrics,
                                       .started = generation->setup->started};
    int status = worker_run(&setup);
    free(threads);
    free(keep);
    free(sockets);
    return status;
}

static bool open_controls(struct generation *generation, int *ends)
{
    for (size_t i = 0; i < generation->control_count; i++) {
        struct control_end *control = &generation->controls[i];
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
            return false;
        *control = (struct control_end){.generation = generation, .watch = control->watch};
        watch_open(&control->watch, pair[0], WATCH_LEVEL);
        ends[i] = pair[1];
        if (!watch_want(generation->setup->loop, &control->watch, EPOLLIN))
            return false;
    }
    return true;
}

pid_t worker_start(struct generation *generation)
{
    size_t count = generation->control_count;
    int *ends = malloc(count * sizeof(int));
    if (ends == NULL)
        return -1;
    memset(ends, -1, count * sizeof(int));
    pid_t pid = open_controls(generation, ends) ? fork() : -1;
    if (pid == 0) {
        int status = run_worker(generation, ends);
        free(ends);
        exit(status);
    }
    int reason = errno;
    for (size_t i = 0; i < count; i++)
        descriptor_close(&ends[i]);
    free(ends);
    errno = reason;
    return pid;
}
