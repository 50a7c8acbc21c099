#include "proxy/worker/core/fibers.h"

#include <openssl/async.h>

#include "base/clock.h"

/* A fiber takes 32 KiB. When all are in use, further handshakes wait for one. */
#define FIBERS_MAX 4096
/* A thread that never used more than this many keeps them. */
#define FIBERS_KEPT 128
#define QUIET_TIME (5 * NS_PER_S)

/* A storm has been over for a while: the memory of its fibers goes back to the heap. */
static void quiet(struct timer *timer)
{
    struct fibers *fibers = list_entry(timer, struct fibers, quiet);
    if (fibers->paused > 0)
        return; /* the timer starts again when no fiber is paused */
    fibers->most = 0;
    /* libcrypto can only free all of them at once. */
    fibers_close();
    fibers_open();
    heap_trim_note_freed(fibers->heap);
}

void fibers_init(struct fibers *fibers, struct loop *loop, struct heap_trim *heap)
{
    *fibers = (struct fibers){.loop = loop, .heap = heap};
    timer_init(&fibers->quiet, quiet);
}

bool fibers_open(void)
{
    return ASYNC_init_thread(FIBERS_MAX, 0) == 1;
}

void fibers_close(void)
{
    ASYNC_cleanup_thread();
}

void fibers_note(struct fibers *fibers, bool was, bool is)
{
    fibers->paused += (size_t)is - (size_t)was;
    if (fibers->paused > fibers->most)
        fibers->most = fibers->paused;
    if (is)
        fibers->paused_at = fibers->loop->now;
    else if (fibers->paused == 0 && fibers->most > FIBERS_KEPT)
        timer_start_at(fibers->loop, &fibers->quiet, fibers->paused_at + QUIET_TIME);
}
