/* Time, always in nanoseconds. Deadlines are absolute CLOCK_MONOTONIC. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* CLOCK_MONOTONIC */
uint64_t clock_now(void);
/* CLOCK_THREAD_CPUTIME_ID: the CPU time of this thread */
uint64_t clock_thread(void);
/* CLOCK_REALTIME: for logs and certificates */
uint64_t clock_wall(void);
/* Milliseconds until `deadline` for poll and epoll_wait, rounded up; -1 if it is UINT64_MAX. */
int clock_poll_timeout(uint64_t deadline, uint64_t now);

#endif
