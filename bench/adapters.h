/* Through which adapter the window asks for its signatures; one of bench/adapter_*.c is linked. */
#ifndef BENCH_ADAPTERS_H
#define BENCH_ADAPTERS_H

#include "window.h"

/* Sets window->ask. At most `size` will be under way. */
void adapter_begin(struct window *window, size_t size);

#endif
