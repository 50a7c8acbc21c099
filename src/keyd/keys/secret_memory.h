/* How much secret memory is needed, and getting it. */
#ifndef KEYD_KEYS_SECRET_MEMORY_H
#define KEYD_KEYS_SECRET_MEMORY_H

#include "keyd/keys/arena.h"
#include "walls/report.h"

/* What it is needed for. */
struct secret_memory_need {
    size_t keys;
    size_t signers;        /* threads, the event loop included */
    size_t device_threads; /* on which the modules of others run */
    bool required;         /* without it, immured does not start */
};

/* Opens the arena, and has libcrypto allocate there: before its first use and before other threads
 * run. False: the reason was logged. */
bool secret_memory_open(const struct secret_memory_need *need, struct arena *arena,
                        struct report *report);

#endif
