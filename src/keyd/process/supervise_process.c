#include "keyd/process/supervise_process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "wire/message.h"

#define START_LIMIT (60 * NS_PER_S)
#define START_LIMIT_FILE (20 * NS_PER_MS) /* more for each file, on a busy machine */
#define LEAVE_LIMIT (15 * NS_PER_S)       /* the key process allows itself 10 s */

/* The answer to this HELLO, WELCOME, will show that the process serves. */
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
    return put_hello(process->session.descriptor) &&
           hand_over_start(&process->hand_over, &with_session, names, vault, &process->pid);
}

/* ---- events of the loop ---- */

static void stop_listening(struct key_process *process)
{
    struct loop *loop = process->owner->loop;
    watch_close_shared(loop, &process->session);
    watch_release(loop, &process->hand_over_watch);
    hand_over_end(&process->hand_over);
}

/* The session has an answer, or has ended. */
static void session_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct key_process *process = list_entry(watch, struct key_process, session);
    uint8_t bytes[64];
    ssize_t length = recv(watch->descriptor, bytes, sizeof bytes, MSG_DONTWAIT);
    if (length < 0 && errno == EAGAIN)
        return;
    process->ready = length > 0 && hand_over_ready(&process->hand_over) == HAND_OVER_DONE;
    stop_listening(process);
    if (!process->ready)
        return; /* the process ends, and SIGCHLD will report that */
    timer_stop(process->owner->loop, &process->deadline);
    process->owner->ready(process->owner, process);
}

static void hand_over_readable(struct watch *watch, uint32_t events)
{
    (void)events;
    struct key_process *process = list_entry(watch, struct key_process, hand_over_watch);
    char text[128];
    enum hand_over_state state = hand_over_ready(&process->hand_over);
    int reason = errno;
    if (state == HAND_OVER_GOES_ON)
        return;
    watch_release(process->owner->loop, watch);
    hand_over_end(&process->hand_over);
    /* EPIPE: the key process ends and has logged the reason; SIGCHLD will report its end */
    if (state == HAND_OVER_DONE || reason == EPIPE)
        return;
    snprintf(text, sizeof text, "the hand-over of files: %s", strerror(reason));
    process->owner->failed(process->owner, process, text);
}

static void late(struct timer *timer)
{
    struct key_process *process = list_entry(timer, struct key_process, deadline);
    char reason[128];
    if (process->leaving) {
        log_error("key process (pid %d) has not ended in time: it is killed", (int)process->pid);
        kill(process->pid, SIGKILL);
        return;
    }
    snprintf(reason, sizeof reason, "the key process (pid %d) is not ready in time",
             (int)process->pid);
    process->owner->failed(process->owner, process, reason);
}

static void release(struct work *work)
{
    free(list_entry(work, struct key_process, release));
}

/* ---- its life ---- */

static struct key_process *key_process_new(struct key_process_owner *owner)
{
    struct key_process *process = calloc(1, sizeof *process);
    if (process == NULL)
        return NULL;
    *process = (struct key_process){.owner = owner, .hand_over = HAND_OVER_INIT};
    list_init(&process->node);
    watch_init(&process->session, session_ready);
    watch_init(&process->hand_over_watch, hand_over_readable);
    timer_init(&process->deadline, late);
    work_init(&process->release, release);
    return process;
}

static bool listen_to(struct key_process *process)
{
    struct loop *loop = process->owner->loop;
    if (process->hand_over.socket >= 0)
        watch_open(&process->hand_over_watch, process->hand_over.socket, WATCH_LEVEL);
    return watch_want(loop, &process->session, EPOLLIN) &&
           (process->hand_over.socket < 0 || watch_want(loop, &process->hand_over_watch, EPOLLIN));
}

struct key_process *key_process_start(struct key_process_owner *owner,
                                      const struct hand_over_process *setup,
                                      const struct name_table *names, struct vault *vault)
{
    struct key_process *process = key_process_new(owner);
    int ends[2] = {-1, -1};
    if (process == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        free(process);
        return NULL;
    }
    watch_open(&process->session, ends[0], WATCH_LEVEL);
    bool started = start(process, setup, ends[1], names, vault) && listen_to(process);
    int reason = errno;
    descriptor_close(&ends[1]);
    if (!started)
        key_process_free(process); /* without its files and its session a started process ends */
    errno = reason;
    if (!started)
        return NULL;
    process->started = clock_now();
    timer_start_at(owner->loop, &process->deadline,
                   process->started + START_LIMIT + names->count * START_LIMIT_FILE);
    return process;
}

void key_process_leave(struct key_process *process)
{
    kill(process->pid, SIGTERM);
    stop_listening(process);
    process->leaving = true;
    timer_start_at(process->owner->loop, &process->deadline, clock_now() + LEAVE_LIMIT);
}

void key_process_free(struct key_process *process)
{
    list_remove(&process->node);
    stop_listening(process);
    timer_stop(process->owner->loop, &process->deadline);
    work_queue(process->owner->loop, &process->release);
}
