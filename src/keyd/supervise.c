#include "keyd/supervise.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "base/notify.h"
#include "conf/error.h"
#include "conf/text.h"
#include "keyd/config.h"
#include "keyd/listen.h"
#include "keyd/supervise_process.h"

#define PAUSE_LEAST                                                                                \
    (10 * NS_PER_MS) /* before a dead key process is replaced, doubled each time                   \
                      */
#define PAUSE_MOST NS_PER_S
#define LIVED_LONG (500 * NS_PER_MS) /* and not any more after so long a life */

struct supervisor {
    const char *file;
    const struct backend *const *backends;
    char program[PATH_MAX];
    struct notify notify;
    int listener;
    char *path; /* of the listening socket's file; NULL: it is the service manager's */
    mode_t mode;
    int signals;
    /* What the key processes are started with, the configuration included: that which has served,
     * and that which has been read since, and is to. Empty: none. */
    struct file_table files, next_files;
    struct key_process *starting, *serving; /* NULL: none */
    struct list leaving;
    uint64_t restart_at; /* CLOCK_MONOTONIC, ns; UINT64_MAX: not */
    uint64_t pause;      /* before the last restart */
    bool reload_again;   /* HUP came while one was starting */
    bool ready;          /* one has been */
    bool ending;
    int status;
};

/* ---- configuration ---- */

static bool anybody_may_connect(const struct config *config)
{
    bool anybody = config->allow.users.count > 0 || config->allow.groups.count > 0;
    for (size_t i = 0; i < config->key_count; i++)
        anybody |= config->keys[i].allow.users.count > 0 || config->keys[i].allow.groups.count > 0;
    return anybody;
}

/* All that a key process needs, which may be more than it was given before. */
static bool open_files(struct supervisor *supervisor, const struct config *config, const char *text,
                       struct conf_error *error)
{
    struct file_table *files = &supervisor->next_files;
    file_table_close(files);
    int copy = descriptor_of_bytes("immured.conf", text, strlen(text));
    if (copy < 0 || !file_table_add(files, supervisor->file, copy)) {
        snprintf(error->text, sizeof error->text, "%s: %s", supervisor->file, strerror(errno));
        return false;
    }
    if (config_open_files(config, files))
        return true;
    snprintf(error->text, sizeof error->text, "%s: out of memory", supervisor->file);
    file_table_close(files);
    return false;
}

/* What of the configuration is the supervisor's; the keys are tried by the key process itself. */
static bool read_config(struct supervisor *supervisor, char **listen, struct conf_error *error)
{
    struct config config;
    char *text = conf_text_read(supervisor->file);
    bool good = config_load(&config, supervisor->file, text, supervisor->backends, error);
    if (good) {
        log_setup("immured", (enum log_level)config.log_level, config.log_json);
        good = open_files(supervisor, &config, text, error);
        supervisor->mode = anybody_may_connect(&config) ? 0666 : 0600;
        if (good) {
            *listen = config.listen;
            config.listen = NULL;
        }
        config_free(&config);
    }
    free(text);
    return good;
}

static bool open_listener(struct supervisor *supervisor, char *path)
{
    if (!listen_activated(&supervisor->listener))
        return false;
    if (supervisor->listener >= 0 && path != NULL)
        log_warning("%s: listen has no effect: the service manager has passed a socket",
                    supervisor->file);
    if (supervisor->listener >= 0)
        return true;
    if (path == NULL) {
        log_error("%s: neither listen nor an inherited descriptor: nobody could ask for a "
                  "signature",
                  supervisor->file);
        return false;
    }
    supervisor->path = strdup(path);
    supervisor->listener = listen_unix(path, supervisor->mode);
    return supervisor->listener >= 0 && supervisor->path != NULL;
}

/* A mistake, and that it has no effect, are one line. */
static bool check_reload(struct supervisor *supervisor)
{
    char *path = NULL;
    struct conf_error error;
    if (!read_config(supervisor, &path, &error)) {
        log_error("%s: the file is not taken over; the running configuration goes on", error.text);
        return false;
    }
    if (path != NULL && supervisor->path != NULL && strcmp(path, supervisor->path) != 0)
        log_warning("%s: listen: %s has no effect before a restart", supervisor->file, path);
    free(path);
    return true;
}

/* ---- key processes ---- */

static void start_process(struct supervisor *supervisor)
{
    supervisor->restart_at = UINT64_MAX;
    const struct file_table *files =
        supervisor->next_files.count > 0 ? &supervisor->next_files : &supervisor->files;
    supervisor->starting =
        key_process_start(supervisor->program, supervisor->file, files, supervisor->listener);
    if (supervisor->starting == NULL)
        supervisor->restart_at = clock_now() + PAUSE_MOST;
}

static void leave(struct supervisor *supervisor, struct key_process **process)
{
    if (*process == NULL)
        return;
    key_process_leave(*process, clock_now());
    list_append(&supervisor->leaving, &(*process)->node);
    *process = NULL;
}

static void say_ready(const struct supervisor *supervisor)
{
    if (supervisor->serving != NULL)
        notify_send(&supervisor->notify, "READY=1\nMAINPID=%d\nSTATUS=Key process: pid %d",
                    (int)getpid(), (int)supervisor->serving->pid);
}

/* Those that have just served: a key process without next_files was started with `files`. */
static void keep_files(struct supervisor *supervisor)
{
    if (supervisor->next_files.count == 0)
        return;
    file_table_close(&supervisor->files);
    supervisor->files = supervisor->next_files;
    supervisor->next_files = FILE_TABLE_INIT;
}

static void reload(struct supervisor *supervisor)
{
    if (supervisor->ending)
        return;
    supervisor->reload_again = supervisor->starting != NULL;
    if (supervisor->reload_again)
        return;
    log_info("HUP: reading %s", supervisor->file);
    notify_send(&supervisor->notify, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                clock_now() / NS_PER_US);
    if (check_reload(supervisor))
        start_process(supervisor);
    else
        say_ready(supervisor);
}

static void take_over(struct supervisor *supervisor)
{
    leave(supervisor, &supervisor->serving);
    supervisor->serving = supervisor->starting;
    supervisor->starting = NULL;
    supervisor->ready = true;
    keep_files(supervisor);
    if (supervisor->path != NULL && chmod(supervisor->path, supervisor->mode) != 0)
        log_warning("listen: %s: %s", supervisor->path, strerror(errno));
    log_info("key process (pid %d) serves", (int)supervisor->serving->pid);
    say_ready(supervisor);
    if (supervisor->reload_again)
        reload(supervisor);
}

static void restart_later(struct supervisor *supervisor, const struct key_process *process)
{
    uint64_t now = clock_now();
    bool long_lived = process->ready && now - process->started >= LIVED_LONG;
    supervisor->pause = supervisor->pause == 0 || long_lived ? PAUSE_LEAST : 2 * supervisor->pause;
    if (supervisor->pause > PAUSE_MOST)
        supervisor->pause = PAUSE_MOST;
    supervisor->restart_at = now + supervisor->pause;
    log_warning("a key process is started again in %" PRIu64 " ms", supervisor->pause / NS_PER_MS);
}

/* What is wrong with the configuration or a key, the process has said. */
static void start_failed(struct supervisor *supervisor, const struct key_process *process)
{
    file_table_close(&supervisor->next_files);
    if (supervisor->serving != NULL) {
        log_error("%s is not taken over; the running configuration goes on", supervisor->file);
        say_ready(supervisor);
        if (supervisor->reload_again)
            reload(supervisor);
    } else if (supervisor->ready) {
        restart_later(supervisor, process);
    } else {
        supervisor->ending = true;
        supervisor->status = EXIT_FAILURE;
    }
}

static void process_ended(struct supervisor *supervisor, struct key_process *process, int status)
{
    int pid = (int)process->pid;
    bool leaving = list_linked(&process->node);
    if (WIFSIGNALED(status) && !leaving)
        log_warning("key process (pid %d) was killed by signal %d (%s)", pid, WTERMSIG(status),
                    strsignal(WTERMSIG(status)));
    else if (process == supervisor->serving)
        log_warning("key process (pid %d) ended with status %d", pid, WEXITSTATUS(status));
    if (process == supervisor->starting) {
        supervisor->starting = NULL;
        start_failed(supervisor, process);
    } else if (process == supervisor->serving) {
        supervisor->serving = NULL;
        if (supervisor->starting == NULL)
            restart_later(supervisor, process);
    } else if (supervisor->ending && process->ready && status != 0) {
        supervisor->status = EXIT_FAILURE; /* it has left something unanswered */
    }
    key_process_free(process);
}

static struct key_process *find_process(const struct supervisor *supervisor, pid_t pid)
{
    if (supervisor->starting != NULL && supervisor->starting->pid == pid)
        return supervisor->starting;
    if (supervisor->serving != NULL && supervisor->serving->pid == pid)
        return supervisor->serving;
    list_for_each(node, &supervisor->leaving)
    {
        struct key_process *process = list_entry(node, struct key_process, node);
        if (process->pid == pid)
            return process;
    }
    return NULL;
}

/* ---- signals ---- */

static void reap(struct supervisor *supervisor)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        struct key_process *process = find_process(supervisor, pid);
        if (process != NULL) /* else one that PID 1 of a container inherits */
            process_ended(supervisor, process, status);
    }
}

static void end(struct supervisor *supervisor)
{
    uint64_t now = clock_now();
    if (!supervisor->ending)
        notify_send(&supervisor->notify, "STOPPING=1");
    else
        log_warning("a second signal: ending at once");
    list_for_each(node, &supervisor->leaving)
    {
        struct key_process *process = list_entry(node, struct key_process, node);
        if (supervisor->ending)
            key_process_leave(process, now);
    }
    supervisor->ending = true;
    supervisor->restart_at = UINT64_MAX;
    leave(supervisor, &supervisor->starting);
    leave(supervisor, &supervisor->serving);
}

static void take_signals(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;
    while (read(supervisor->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(supervisor);
        else if (info.ssi_signo == SIGHUP)
            reload(supervisor);
        else
            end(supervisor);
    }
}

static bool open_signals(struct supervisor *supervisor)
{
    const int taken[] = {SIGCHLD, SIGHUP, SIGTERM, SIGINT};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        sigaddset(&set, taken[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return false;
    supervisor->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return supervisor->signals >= 0;
}

/* ---- the loop ---- */

static uint64_t next_time(const struct supervisor *supervisor)
{
    uint64_t next = supervisor->restart_at;
    if (supervisor->starting != NULL && supervisor->starting->deadline < next)
        next = supervisor->starting->deadline;
    list_for_each(node, &supervisor->leaving)
    {
        uint64_t deadline = list_entry(node, struct key_process, node)->deadline;
        next = deadline < next ? deadline : next;
    }
    return next;
}

static void tick(struct supervisor *supervisor)
{
    uint64_t now = clock_now();
    if (now >= supervisor->restart_at)
        start_process(supervisor);
    if (supervisor->starting != NULL)
        key_process_tick(supervisor->starting, now);
    list_for_each(node, &supervisor->leaving)
        key_process_tick(list_entry(node, struct key_process, node), now);
}

static void run(struct supervisor *supervisor)
{
    while (!supervisor->ending || supervisor->starting != NULL || supervisor->serving != NULL ||
           !list_empty(&supervisor->leaving)) {
        struct key_process *starting = supervisor->starting;
        struct pollfd sources[] = {
            {.fd = supervisor->signals, .events = POLLIN},
            {.fd = starting != NULL ? starting->session : -1, .events = POLLIN}};
        if (poll(sources, 2, clock_poll_timeout(next_time(supervisor), clock_now())) > 0) {
            if (starting != NULL && sources[1].revents != 0 && key_process_heard(starting))
                take_over(supervisor);
            if (sources[0].revents != 0)
                take_signals(supervisor);
        }
        tick(supervisor);
    }
}

/* This very program, by its path: after an upgrade HUP starts the new one. */
static bool find_program(struct supervisor *supervisor)
{
    ssize_t length =
        readlink("/proc/self/exe", supervisor->program, sizeof supervisor->program - 1);
    if (length < 0)
        log_error("/proc/self/exe: %s", strerror(errno));
    return length >= 0;
}

static bool set_up(struct supervisor *supervisor)
{
    char *path = NULL;
    struct conf_error error;
    notify_open(&supervisor->notify);
    descriptor_raise_limit(); /* each key has one */
    if (!open_signals(supervisor) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        log_error("cannot start: %s", strerror(errno));
        return false;
    }
    if (!read_config(supervisor, &path, &error)) {
        log_error("%s", error.text);
        return false;
    }
    bool good = open_listener(supervisor, path);
    free(path);
    return good && find_program(supervisor);
}

int supervise(const char *config, const struct backend *const *backends)
{
    struct supervisor supervisor = {.file = config,
                                    .backends = backends,
                                    .listener = -1,
                                    .signals = -1,
                                    .restart_at = UINT64_MAX,
                                    .status = EXIT_SUCCESS};
    list_init(&supervisor.leaving);
    if (set_up(&supervisor)) {
        start_process(&supervisor);
        run(&supervisor);
    } else {
        supervisor.status = EXIT_FAILURE;
    }
    file_table_close(&supervisor.files);
    file_table_close(&supervisor.next_files);
    descriptor_close(&supervisor.listener);
    descriptor_close(&supervisor.signals);
    free(supervisor.path);
    return supervisor.status;
}
