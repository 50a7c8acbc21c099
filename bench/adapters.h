/* The adapter through which the window requests signatures: one of bench/adapter_*.c is linked. */
#ifndef BENCH_ADAPTERS_H
#define BENCH_ADAPTERS_H

#include "window.h"

/* Sets window->ask. At most `size` requests will be pending. */
void adapter_begin(struct window *window, size_t size);

#endif
