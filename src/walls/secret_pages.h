/*
 * Memory for secrets: pages of memfd_secret(2), which not even root can read from outside and which
 * no core file contains. Where the kernel lacks them: ordinary pages, locked and excluded from core
 * files. A forked child finds either kind zeroed or not mapped at all.
 */
#ifndef WALLS_SECRET_PAGES_H
#define WALLS_SECRET_PAGES_H

#include <stddef.h>

enum secret_pages {
    PAGES_SECRET,  /* memfd_secret */
    PAGES_LOCKED,  /* ordinary pages that are not swapped */
    PAGES_UNLOCKED /* ordinary pages */
};

/* Maps zeroed pages, which the caller wipes and unmaps; `size` is rounded up to whole pages. NULL
 * with errno. *kind tells which kind they are, and `reason` why they are not secret. */
void *secret_pages_map(size_t size, enum secret_pages *kind, char *reason, size_t reason_size);

#endif
