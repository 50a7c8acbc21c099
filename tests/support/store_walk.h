/* Opens bytes as a store of certificates, and goes wherever its readers can go. */
#ifndef TESTS_SUPPORT_STORE_WALK_H
#define TESTS_SUPPORT_STORE_WALK_H

#include <stdbool.h>
#include <stddef.h>

/* Whether they could be opened. Aborts if something in them leads out of them. */
bool store_walk(const void *bytes, size_t size);

#endif
