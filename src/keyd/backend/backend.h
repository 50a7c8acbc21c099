/*
 * A signing backend: one `static const struct backend`, batch-shaped.
 *
 * Each signer thread has a state of its own; the same state is never used by two threads at once.
 * A batch holds jobs of one kind of key (key_same_kind); the keys and schemes in it may differ.
 */
#ifndef KEYD_BACKEND_BACKEND_H
#define KEYD_BACKEND_BACKEND_H

#include "keyd/job.h"

struct backend {
    const char *name;      /* as in the configuration */
    uint8_t number;        /* enum wire_backend */
    const int *more_calls; /* system calls it needs beyond immured's own, ended by -1; or NULL */

    /* How many jobs for such a key it takes at once. */
    size_t (*width)(const struct key *key);
    /* NULL: out of memory. Before the doors are closed. */
    void *(*thread_new)(void);
    void (*thread_free)(void *thread);
    /*
     * Signs the digests (Ed25519: the messages): sets signature and signature_length, or error to
     * IMMURE_E_SIGNING, of each job. The signer verifies RSA afterwards.
     */
    void (*sign)(void *thread, struct job *const *batch, size_t count);
};

extern const struct backend backend_openssl;

#endif
