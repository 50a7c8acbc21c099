#include "keyd/process/supervise.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "base/notify.h"
#include "conf/error.h"
#include "conf/text.h"
#include "daemon/child.h"
#include "daemon/own_process.h"
#include "daemon/unix_socket.h"
#include "keyd/process/listen.h"
#include "keyd/process/load.h"
#include "keyd/process/supervise_edition.h"
#include "keyd/process/supervise_process.h"
#include "loop/signal_watch.h"

/* The edition with which a key process has served last, and the one that was read since, until a
 * key process serves with it or it is refused. */
enum which { IN_FORCE, NEXT, EDITIONS };

struct supervisor {
    struct loop loop;
    struct key_process_owner owner; /* of all key processes */
    const char *file;
    const struct driver *const *drivers;
    char program[PATH_MAX];
    struct notify notify;
    int listener;
    int next_listener; /* for the next edition if the file of `listener` was removed; else -1 */
    char *path;        /* of the listening socket; NULL: the service manager has passed it */
    struct file_identity socket_file; /* the file at `path` */
    struct signal_watch signals;
    struct edition editions[EDITIONS];
    struct key_process *starting[EDITIONS]; /* one for each edition; NULL: none */
    struct key_process *serving;            /* NULL: none */
    struct list leaving;
    struct back_off back_off; /* of the edition in force */
    bool reload_again;        /* HUP came while a key process of the next edition was starting */
    bool ready;               /* some key process has served */
    bool ending;
    int status;
};

/* ---- configuration ---- */

/* Makes the next edition. The key process itself checks the keys. */
static bool read_config(struct supervisor *supervisor, char **listen, struct conf_error *error)
{
    struct keyd_config config;
    char *text = conf_text_read(supervisor->file);
    bool good = config_load(&config, supervisor->file, text, supervisor->drivers, error);
    if (good) {
        good = edition_make(&supervisor->editions[NEXT], supervisor->file, &config, text, error);
        if (good) {
            *listen = config.listen;
            config.listen = NULL;
        }
        config_free(&config);
    }
    free(text);
    return good;
}

static bool know_file(struct supervisor *supervisor)
{
    if (unix_socket_identify(supervisor->path, &supervisor->socket_file))
        return true;
    log_error("listen: %s: %s", supervisor->path, strerror(errno));
    return false;
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
        log_error("%s: there is neither listen nor an inherited socket, so no client could connect",
                  supervisor->file);
        return false;
    }
    supervisor->path = strdup(path);
    supervisor->listener = listen_unix(path, supervisor->editions[NEXT].mode);
    return supervisor->listener >= 0 && supervisor->path != NULL && know_file(supervisor);
}

/* Makes the socket's file again if somebody has removed it. Clients that connect to it wait for the
 * key process of the next edition; the one that serves goes on with the old socket. */
static void renew_listener(struct supervisor *supervisor)
{
    if (supervisor->path == NULL ||
        unix_socket_is_there(supervisor->path, &supervisor->socket_file))
        return;
    supervisor->next_listener = listen_unix(supervisor->path, supervisor->editions[NEXT].mode);
    if (supervisor->next_listener < 0)
        return; /* the reason was logged */
    know_file(supervisor);
    log_warning("listen: %s was removed: it is made again", supervisor->path);
}

/* Sets the mode of the socket's file, but not of a file that somebody has put in its place. */
static void set_mode(const struct supervisor *supervisor, mode_t mode)
{
    const struct unix_socket_access access = {.mode = mode, .user = (uid_t)-1, .group = (gid_t)-1};
    if (supervisor->path != NULL &&
        !unix_socket_set_access(supervisor->path, &supervisor->socket_file, &access) &&
        errno != ENOENT)
        log_warning("listen: %s: %s", supervisor->path, strerror(errno));
}

static void drop_next_listener(struct supervisor *supervisor)
{
    if (supervisor->next_listener >= 0) /* nobody will answer there */
        unix_socket_remove(supervisor->path, &supervisor->socket_file);
    descriptor_close(&supervisor->next_listener);
}

static void take_next_listener(struct supervisor *supervisor)
{
    if (supervisor->next_listener < 0)
        return;
    descriptor_close(&supervisor->listener);
    supervisor->listener = supervisor->next_listener;
    supervisor->next_listener = -1;
}

/* Reads the configuration for a reload. If it is wrong, one log line says why. */
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

static void leave(struct supervisor *supervisor, struct key_process **process)
{
    if (*process == NULL)
        return;
    key_process_leave(*process);
    list_append(&supervisor->leaving, &(*process)->node);
    *process = NULL;
}

static void say_ready(const struct supervisor *supervisor)
{
    if (supervisor->serving != NULL)
        notify_send(&supervisor->notify, "READY=1\nMAINPID=%d\nSTATUS=Key process: pid %d",
                    (int)getpid(), (int)supervisor->serving->pid);
}

static void restart_later(struct supervisor *supervisor, uint64_t lived)
{
    back_off_restart(&supervisor->back_off, lived, clock_now());
    log_warning("a key process is started again in %" PRIu64 " ms",
                supervisor->back_off.pause / NS_PER_MS);
}

/* Drops what was read; the next HUP reads the files again. `reason`: NULL if it was logged. */
static void refuse_next(struct supervisor *supervisor, const char *reason)
{
    edition_drop(&supervisor->editions[NEXT]);
    drop_next_listener(supervisor);
    log_error("%s is not taken over%s%s; the running configuration goes on", supervisor->file,
              reason != NULL ? ": " : "", reason != NULL ? reason : "");
    say_ready(supervisor);
}

static void reload(struct supervisor *supervisor);

/* The key process of this edition did not start. `reason` is as in refuse_next(). */
static void start_failed(struct supervisor *supervisor, enum which which, const char *reason)
{
    if (!supervisor->ready) {
        if (reason != NULL)
            log_error("cannot start: %s", reason);
        supervisor->ending = true;
        supervisor->status = EXIT_FAILURE;
        return;
    }
    if (which == IN_FORCE) {
        if (reason != NULL)
            log_warning("%s", reason);
        restart_later(supervisor, 0);
        return;
    }
    refuse_next(supervisor, reason);
    if (supervisor->reload_again)
        reload(supervisor);
}

static void start_process(struct supervisor *supervisor, enum which which)
{
    struct edition *edition = &supervisor->editions[which];
    bool renewed = which == NEXT && supervisor->next_listener >= 0;
    const struct hand_over_process setup = {.program = supervisor->program,
                                            .config = supervisor->file,
                                            .text = edition->text,
                                            .listener = renewed ? supervisor->next_listener
                                                                : supervisor->listener};
    char reason[PATH_MAX + 64];
    supervisor->starting[which] =
        key_process_start(&supervisor->owner, &setup, &edition->names, &edition->vault);
    if (supervisor->starting[which] != NULL)
        return;
    snprintf(reason, sizeof reason, "no key process of %s: %s", supervisor->program,
             strerror(errno));
    start_failed(supervisor, which, reason);
}

static void restart(struct timer *timer)
{
    start_process(list_entry(timer, struct supervisor, back_off.restart), IN_FORCE);
}

static enum which which_starts(const struct supervisor *supervisor,
                               const struct key_process *process)
{
    return process == supervisor->starting[IN_FORCE] ? IN_FORCE : NEXT;
}

static void starting_failed(struct key_process_owner *owner, struct key_process *process,
                            const char *reason)
{
    struct supervisor *supervisor = list_entry(owner, struct supervisor, owner);
    enum which which = which_starts(supervisor, process);
    leave(supervisor, &supervisor->starting[which]);
    start_failed(supervisor, which, reason);
}

static void reload(struct supervisor *supervisor)
{
    if (supervisor->ending)
        return;
    supervisor->reload_again = supervisor->starting[NEXT] != NULL;
    if (supervisor->reload_again)
        return;
    log_info("HUP: reading %s", supervisor->file);
    notify_reloading(&supervisor->notify);
    if (check_reload(supervisor)) {
        renew_listener(supervisor);
        start_process(supervisor, NEXT);
    } else {
        say_ready(supervisor);
    }
}

/* The key process of the next edition serves, and replaces all others. */
static void put_in_force(struct supervisor *supervisor)
{
    struct edition *edition = &supervisor->editions[IN_FORCE];
    leave(supervisor, &supervisor->starting[IN_FORCE]);
    back_off_stop(&supervisor->back_off);
    edition_drop(edition);
    *edition = supervisor->editions[NEXT];
    supervisor->editions[NEXT] = EDITION_INIT;
    log_setup("immured", edition->log_level, edition->log_json);
    take_next_listener(supervisor);
    set_mode(supervisor, edition->mode);
}

static void take_over(struct key_process_owner *owner, struct key_process *process)
{
    struct supervisor *supervisor = list_entry(owner, struct supervisor, owner);
    enum which which = which_starts(supervisor, process);
    leave(supervisor, &supervisor->serving);
    supervisor->serving = process;
    supervisor->starting[which] = NULL;
    supervisor->ready = true;
    if (which == NEXT)
        put_in_force(supervisor);
    log_info("key process (pid %d) serves", (int)process->pid);
    say_ready(supervisor);
    if (which == NEXT && supervisor->reload_again)
        reload(supervisor);
}

/* NULL: the process itself has logged what went wrong. */
static const char *describe_end(const struct key_process *process, int status, char *text,
                                size_t size)
{
    char how[64];
    if (!WIFSIGNALED(status))
        return NULL;
    snprintf(text, size, "the key process (pid %d) %s", (int)process->pid,
             child_describe(status, how, sizeof how));
    return text;
}

static void serving_ended(struct supervisor *supervisor, int status)
{
    const struct key_process *process = supervisor->serving;
    uint64_t lived = clock_now() - process->started;
    char how[64];
    log_warning("the key process (pid %d) %s", (int)process->pid,
                child_describe(status, how, sizeof how));
    supervisor->serving = NULL;
    restart_later(supervisor, lived);
}

static void process_ended(struct supervisor *supervisor, struct key_process *process, int status)
{
    char text[128];
    const char *reason = describe_end(process, status, text, sizeof text);
    if (process == supervisor->starting[IN_FORCE]) {
        supervisor->starting[IN_FORCE] = NULL;
        start_failed(supervisor, IN_FORCE, reason);
    } else if (process == supervisor->starting[NEXT]) {
        supervisor->starting[NEXT] = NULL;
        start_failed(supervisor, NEXT, reason);
    } else if (process == supervisor->serving) {
        serving_ended(supervisor, status);
    } else if (supervisor->ending && process->ready && status != 0) {
        supervisor->status = EXIT_FAILURE; /* it has left requests unanswered */
    }
    key_process_free(process);
}

static struct key_process *find_process(const struct supervisor *supervisor, pid_t pid)
{
    for (enum which which = IN_FORCE; which < EDITIONS; which++)
        if (supervisor->starting[which] != NULL && supervisor->starting[which]->pid == pid)
            return supervisor->starting[which];
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
        if (process != NULL) /* else an orphan: as PID 1 of a container immured inherits them */
            process_ended(supervisor, process, status);
    }
}

static void end(struct supervisor *supervisor)
{
    if (!supervisor->ending)
        notify_send(&supervisor->notify, "STOPPING=1");
    else
        log_warning("a second signal: ending at once");
    list_for_each(node, &supervisor->leaving)
    {
        struct key_process *process = list_entry(node, struct key_process, node);
        if (supervisor->ending)
            key_process_leave(process);
    }
    supervisor->ending = true;
    back_off_stop(&supervisor->back_off);
    for (enum which which = IN_FORCE; which < EDITIONS; which++)
        leave(supervisor, &supervisor->starting[which]);
    leave(supervisor, &supervisor->serving);
}

static void take_signal(struct signal_watch *signals, int number)
{
    struct supervisor *supervisor = list_entry(signals, struct supervisor, signals);
    if (number == SIGCHLD)
        reap(supervisor);
    else if (number == SIGHUP)
        reload(supervisor);
    else
        end(supervisor);
}

static bool open_signals(struct supervisor *supervisor)
{
    const int taken[] = {SIGCHLD, SIGHUP, SIGTERM, SIGINT};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        sigaddset(&set, taken[i]);
    return signal_watch_open(&supervisor->loop, &supervisor->signals, &set);
}

/* ---- the process ---- */

static bool has_processes(const struct supervisor *supervisor)
{
    return supervisor->starting[IN_FORCE] != NULL || supervisor->starting[NEXT] != NULL ||
           supervisor->serving != NULL || !list_empty(&supervisor->leaving);
}

static void run(struct supervisor *supervisor)
{
    while (!supervisor->ending || has_processes(supervisor)) {
        loop_look(&supervisor->loop, loop_deadline(&supervisor->loop));
        loop_run_timers(&supervisor->loop);
        loop_run_work(&supervisor->loop);
    }
}

static bool set_up(struct supervisor *supervisor)
{
    char *path = NULL;
    struct conf_error error;
    notify_open(&supervisor->notify);
    descriptor_raise_limit();  /* for the key process, which needs one for each client */
    own_process_hide_memory(); /* the supervisor has no keys, but the key of the vault */
    if (!loop_open(&supervisor->loop) || !open_signals(supervisor) ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        log_error("cannot start: %s", strerror(errno));
        return false;
    }
    if (!read_config(supervisor, &path, &error)) {
        log_error("%s", error.text);
        return false;
    }
    log_setup("immured", supervisor->editions[NEXT].log_level, supervisor->editions[NEXT].log_json);
    bool good = open_listener(supervisor, path);
    free(path);
    if (good && !own_process_find_program(supervisor->program)) {
        log_error("/proc/self/exe: %s", strerror(errno));
        return false;
    }
    return good;
}

int supervise(const char *config, const struct driver *const *drivers)
{
    struct supervisor supervisor = {.file = config,
                                    .drivers = drivers,
                                    .listener = -1,
                                    .next_listener = -1,
                                    .editions = {EDITION_INIT, EDITION_INIT},
                                    .owner = {.ready = take_over, .failed = starting_failed},
                                    .status = EXIT_SUCCESS};
    list_init(&supervisor.leaving);
    supervisor.owner.loop = &supervisor.loop;
    signal_watch_init(&supervisor.signals, take_signal);
    back_off_init(&supervisor.back_off, &supervisor.loop, restart);
    if (set_up(&supervisor)) {
        start_process(&supervisor, NEXT);
        run(&supervisor);
    } else {
        supervisor.status = EXIT_FAILURE;
    }
    edition_drop(&supervisor.editions[IN_FORCE]);
    edition_drop(&supervisor.editions[NEXT]);
    descriptor_close(&supervisor.listener);
    descriptor_close(&supervisor.next_listener);
    signal_watch_close(&supervisor.loop, &supervisor.signals);
    loop_close(&supervisor.loop);
    free(supervisor.path);
    return supervisor.status;
}
