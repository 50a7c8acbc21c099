/*
 * A signing backend: one `static const struct backend`, batch-shaped.
 *
 * Each thread that signs has a state of its own; the same state is never used by two threads at
 * once. A batch holds jobs of one kind (keyd/sign/kind.h); the keys and schemes in it may differ.
 */
#ifndef KEYD_SIGN_BACKEND_H
#define KEYD_SIGN_BACKEND_H

#include "keyd/sign/job.h"

#define BACKEND_BATCH_MAX 128

struct backend {
    const char *name;      /* as in the configuration */
    uint8_t number;        /* enum wire_backend */
    const int *more_calls; /* system calls it needs beyond immured's own, ended by -1; or NULL */

    bool lanes; /* a batch costs the same however full (step()): libcrypto signs what is too little
                 */
    bool fallback; /* libcrypto signs what it fails at: the whole pair is in memory */
    bool waits;    /* a batch may wait for a device: never on the event loop's thread */

    /* Loads what it needs and tests itself, once, before the doors are closed. False: it cannot
     * serve here, with one line in `reason`. `settings`: its own struct of the configuration.
     * NULL: nothing to do. */
    bool (*open)(const void *settings, char *reason, size_t size);
    /* How many jobs for such a key it takes at once, at most BACKEND_BATCH_MAX; 0: it does not
     * serve such keys. After open(). */
    size_t (*width)(const struct key *key);
    /* A batch of up to so many takes less time than one of more; NULL: all take the same. */
    size_t (*step)(const struct key *key);
    /* Its own form of the key, in key->prepared; false: it cannot serve this one. NULL: none. */
    bool (*key_prepare)(struct key *key);
    void (*key_release)(struct key *key);
    /* NULL: out of memory. Before the doors are closed. */
    void *(*thread_new)(void);
    void (*thread_free)(void *thread);
    /*
     * Signs the digests (Ed25519: the messages): sets signature and signature_length, or error to
     * IMMURE_E_SIGNING, of each job. The signer verifies what is not marked as verified.
     */
    void (*sign)(void *thread, struct job *const *batch, size_t count);
};

extern const struct backend backend_openssl;
extern const struct backend backend_multibuffer;

#endif
