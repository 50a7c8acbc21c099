#include "keyd/supervise_process.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "wire/message.h"

#define START_LIMIT (60 * NS_PER_S)
#define LEAVE_LIMIT (15 * NS_PER_S) /* it gives itself 10 s */
#define EXIT_NOT_STARTED 127

/* Leaves them to the program that comes. Returns their list; -1 with errno. */
static int hand_over(const struct file_table *files)
{
    char *list = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&list, &length);
    if (out == NULL)
        return -1;
    for (size_t i = 0; i < files->count; i++) {
        const struct table_file *file = &files->files[i];
        file_table_put(out, file->name, file->descriptor);
        if (file->descriptor >= 0 && !descriptor_set_close_on_exec(file->descriptor, false))
            return -1;
    }
    if (fclose(out) != 0)
        return -1;
    int descriptor = descriptor_of_bytes("files", list, length);
    return descriptor_set_close_on_exec(descriptor, false) ? descriptor : -1;
}

/* In the child. The supervisor's HUP and INT are not for a key process, from its first moment. */
static void run(const char *program, const char *config, const struct file_table *files,
                int listener, int session)
{
    char files_fd[16], listen_fd[16], session_fd[16];
    char *const arguments[] = {"immured",     "--config", (char *)config, "--files-fd", files_fd,
                               "--listen-fd", listen_fd,  "--session-fd", session_fd,   NULL};
    char *const no_environment[] = {NULL};
    sigset_t none;
    sigemptyset(&none);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int list = hand_over(files);
    snprintf(files_fd, sizeof files_fd, "%d", list);
    snprintf(listen_fd, sizeof listen_fd, "%d", listener);
    snprintf(session_fd, sizeof session_fd, "%d", session);
    if (list >= 0 && descriptor_set_close_on_exec(listener, false) &&
        descriptor_set_close_on_exec(session, false))
        execve(program, arguments, no_environment);
    log_error("%s: %s", program, strerror(errno));
    _exit(EXIT_NOT_STARTED);
}

/* WELCOME to it will say that the process serves. */
static bool put_hello(int session)
{
    const struct wire_hello hello = {.lowest = WIRE_VERSION, .highest = WIRE_VERSION};
    struct buffer output = BUFFER_INIT(WIRE_FRAME_MAX);
    bool put = wire_put_hello(&output, &hello) &&
               send(session, buffer_bytes(&output), buffer_length(&output), MSG_NOSIGNAL) ==
                   (ssize_t)buffer_length(&output);
    buffer_release(&output);
    return put;
}

struct key_process *key_process_start(const char *program, const char *config,
                                      const struct file_table *files, int listener)
{
    struct key_process *process = calloc(1, sizeof *process);
    int ends[2] = {-1, -1};
    if (process == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 ||
        !put_hello(ends[0]) || (process->pid = fork()) < 0) {
        log_error("cannot start a key process: %s", strerror(errno));
        descriptor_close(&ends[0]);
        descriptor_close(&ends[1]);
        free(process);
        return NULL;
    }
    if (process->pid == 0)
        run(program, config, files, listener, ends[1]);
    descriptor_close(&ends[1]);
    process->session = ends[0];
    process->started = clock_now();
    process->deadline = process->started + START_LIMIT;
    list_init(&process->node);
    return process;
}

bool key_process_heard(struct key_process *process)
{
    uint8_t bytes[64];
    process->ready = recv(process->session, bytes, sizeof bytes, MSG_DONTWAIT) > 0;
    descriptor_close(&process->session);
    if (process->ready)
        process->deadline = UINT64_MAX;
    return process->ready;
}

void key_process_leave(struct key_process *process, uint64_t now)
{
    kill(process->pid, SIGTERM);
    descriptor_close(&process->session);
    process->deadline = now + LEAVE_LIMIT;
}

void key_process_tick(struct key_process *process, uint64_t now)
{
    if (now < process->deadline)
        return;
    log_error("key process (pid %d) is not %s in time: it is killed", (int)process->pid,
              process->ready ? "gone" : "ready");
    kill(process->pid, SIGKILL);
    process->deadline = UINT64_MAX;
}

void key_process_free(struct key_process *process)
{
    list_remove(&process->node);
    descriptor_close(&process->session);
    free(process);
}
