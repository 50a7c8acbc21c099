/* Computes how much secret memory the process needs, and allocates it. */
#ifndef KEYD_KEYS_SECRET_MEMORY_H
#define KEYD_KEYS_SECRET_MEMORY_H

#include "keyd/keys/arena.h"
#include "keyd/keys/compact.h"
#include "walls/report.h"

/* What determines the size. */
struct secret_memory_need {
    size_t keys;
    size_t signers;        /* threads, the event loop included */
    size_t device_threads; /* on which third-party modules run */
    uint64_t *cache; /* compact keys that are complete at a time, fewer if the limit is low; NULL:
                        there are none, and no more memory will be needed for their DER */
    bool required;   /* immured does not start without secret memory */
};

/* Opens the arena, and makes libcrypto allocate there. Call it before libcrypto's first use and
 * before other threads run. False: reason logged. */
bool secret_memory_open(const struct secret_memory_need *need, struct arena *arena,
                        struct report *report);

/* Notes what memory the compact keys have; one line in the log says what limit is too low. False:
 * secret memory is required, and there is too little; reason logged. */
bool secret_memory_judge_packed(bool required, const struct arena *arena,
                                const struct compact_keys *keys, struct report *report);

#endif
