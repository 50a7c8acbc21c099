/* Listening sockets for the servers of the benchmarks. */
#ifndef BENCH_LOOPBACK_H
#define BENCH_LOOPBACK_H

/* Prints `what` with the text for errno, and exits. */
_Noreturn void fail(const char *what);

/* Raises the limit of descriptors, opens a non-blocking listener on a free port of 127.0.0.1, and
 * prints the port, for which bench/setting.py waits. */
int loopback_listen(void);

#endif
