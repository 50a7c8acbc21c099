/*
 * Memory for secrets: pages of memfd_secret(2), which not even root's tools read and no core file
 * has; where the kernel has none of them, ordinary ones, locked, left out of core files. Either
 * kind is empty, or not there at all, in a forked child.
 */
#ifndef WALLS_SECRET_PAGES_H
#define WALLS_SECRET_PAGES_H

#include <stddef.h>

enum secret_pages {
    PAGES_SECRET,  /* memfd_secret */
    PAGES_LOCKED,  /* ordinary pages that are not swapped */
    PAGES_UNLOCKED /* ordinary pages */
};

/* All zero. To be wiped and given to munmap(). NULL with errno; with *kind the outcome, and in
 * `reason` why the pages are not secret. `size` is rounded up to whole pages. */
void *secret_pages_map(size_t size, enum secret_pages *kind, char *reason, size_t reason_size);

#endif
