#include "keyd/process/supervise_process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "wire/message.h"

#define START_LIMIT (60 * NS_PER_S)
#define START_LIMIT_FILE (20 * NS_PER_MS) /* and for each file, on a machine that is busy */
#define LEAVE_LIMIT (15 * NS_PER_S)       /* it gives itself 10 s */

/* WELCOME to it will say that the process serves. */
static bool put_hello(int session)
{
    struct buffer output = BUFFER_INIT(WIRE_FRAME_MAX);
    bool put = wire_put_hello(&output, &wire_versions) &&
               send(session, buffer_bytes(&output), buffer_length(&output), MSG_NOSIGNAL) ==
                   (ssize_t)buffer_length(&output);
    buffer_release(&output);
    return put;
}

static bool start(struct key_process *process, const struct hand_over_process *setup, int session,
                  const struct name_table *names, struct vault *vault)
{
    struct hand_over_process with_session = *setup;
    with_session.session = session;
    return put_hello(process->session) &&
           hand_over_start(&process->hand_over, &with_session, names, vault, &process->pid);
}

struct key_process *key_process_start(const struct hand_over_process *setup,
                                      const struct name_table *names, struct vault *vault)
{
    struct key_process *process = calloc(1, sizeof *process);
    int ends[2] = {-1, -1};
    if (process == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        free(process);
        return NULL;
    }
    *process = (struct key_process){.session = ends[0], .hand_over = HAND_OVER_INIT};
    list_init(&process->node);
    bool started = start(process, setup, ends[1], names, vault);
    int reason = errno;
    descriptor_close(&ends[1]);
    if (!started)
        key_process_free(process);
    errno = reason;
    if (!started)
        return NULL;
    process->started = clock_now();
    process->deadline = process->started + START_LIMIT + names->count * START_LIMIT_FILE;
    return process;
}

bool key_process_heard(struct key_process *process)
{
    uint8_t bytes[64];
    ssize_t length = recv(process->session, bytes, sizeof bytes, MSG_DONTWAIT);
    if (length < 0 && errno == EAGAIN)
        return false;
    process->ready = length > 0 && hand_over_ready(&process->hand_over) == HAND_OVER_DONE;
    descriptor_close(&process->session);
    hand_over_end(&process->hand_over);
    if (process->ready)
        process->deadline = UINT64_MAX;
    return process->ready;
}

void key_process_leave(struct key_process *process, uint64_t now)
{
    kill(process->pid, SIGTERM);
    descriptor_close(&process->session);
    hand_over_end(&process->hand_over);
    process->deadline = now + LEAVE_LIMIT;
}

void key_process_tick(struct key_process *process, uint64_t now)
{
    if (now < process->deadline)
        return;
    log_error("key process (pid %d) is not gone in time: it is killed", (int)process->pid);
    kill(process->pid, SIGKILL);
    process->deadline = UINT64_MAX;
}

void key_process_free(struct key_process *process)
{
    list_remove(&process->node);
    descriptor_close(&process->session);
    hand_over_end(&process->hand_over);
    free(process);
}
