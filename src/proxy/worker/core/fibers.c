#include "proxy/worker/core/fibers.h"

#include <openssl/async.h>

#include "base/clock.h"

/* One is 32 KiB; connections beyond that wait for one. */
#define FIBERS_MAX 4096
/* So many are kept for ever. */
#define FIBERS_KEPT 128
#define QUIET_TIME (5 * NS_PER_S)

bool fibers_open(void)
{
    return ASYNC_init_thread(FIBERS_MAX, 0) == 1;
}

void fibers_close(void)
{
    ASYNC_cleanup_thread();
}

void fibers_note(struct fibers *fibers, bool was, bool is, uint64_t now)
{
    fibers->paused += (size_t)is - (size_t)was;
    if (fibers->paused > fibers->most)
        fibers->most = fibers->paused;
    if (is)
        fibers->paused_at = now;
}

uint64_t fibers_deadline(const struct fibers *fibers)
{
    return fibers->paused == 0 && fibers->most > FIBERS_KEPT ? fibers->paused_at + QUIET_TIME
                                                             : UINT64_MAX;
}

bool fibers_trim(struct fibers *fibers, uint64_t now)
{
    if (now < fibers_deadline(fibers))
        return false;
    fibers->most = 0;
    /* libcrypto gives back all or none. */
    fibers_close();
    fibers_open();
    return true;
}
