/* How the servers of the bench listen. */
#ifndef BENCH_LOOPBACK_H
#define BENCH_LOOPBACK_H

/* Prints what errno says of it and ends the program. */
_Noreturn void fail(const char *what);

/* As many descriptors as are allowed, and a non-blocking listener on a free port of 127.0.0.1,
 * which is printed: bench/setting.py waits for it. */
int loopback_listen(void);

#endif
