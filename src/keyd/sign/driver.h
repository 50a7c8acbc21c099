/*
 * What signs: libcrypto, crypto_mb, a device behind an OpenSSL provider. Each is one file with one
 * `const struct driver`, its prototype, and one place in the list of main.c. An instance is a copy
 * of the prototype with a state of its own:
 *
 *     open, [key_prepare...], start, [thread_new, sign..., thread_free], stop, close
 *
 * In the code this is a driver; the configuration, the log and the wire have always called it a
 * backend. That word means a server behind the proxy, and an engine means one of OpenSSL's
 * (keyd/driver/provider/engine.h).
 *
 * A batch holds jobs of one kind (keyd/sign/kind.h); the keys and schemes in it may differ. Each
 * thread that signs has a state of its own, which is never used by two threads at once. All
 * functions but `width` and `sign` may be NULL: there is nothing to do.
 */
#ifndef KEYD_SIGN_DRIVER_H
#define KEYD_SIGN_DRIVER_H

#include "keyd/sign/job.h"

#define DRIVER_BATCH_MAX 128

struct driver {
    const char *name; /* as in the configuration; of an instance for a section "NAME:SECTION" */
    uint8_t number;   /* enum wire_backend: what clients are told */
    uint16_t figure;  /* enum wire_stat_number: what counts its signatures; 0: nothing */

    bool sections;   /* an instance for each section of the configuration; else there is one */
    bool privileged; /* open() and start() may need root, and may start threads of others */
    bool lanes; /* a batch costs the same however full (small_width()): libcrypto signs what is too
                   little */
    bool fallback; /* libcrypto signs what it fails at: the whole pair is in memory */
    bool waits;    /* a batch may wait for a device: never on the event loop's thread */

    /* Of an instance: */
    const void *settings; /* its own struct of the configuration */
    void *state;          /* set by open() */
    const int *calls;     /* system calls it needs beyond immured's own, ended by -1; or NULL */
    char *section_name;   /* the memory of `name`, if it has a section */

    /* Loads what it needs and tests itself, once, before keys are loaded; `files` are those that
     * the configuration names. False: it cannot serve here, with one line in `reason`, and there
     * is nothing to close. */
    bool (*open)(struct driver *driver, const struct files *files, char *reason, size_t size);
    /* With all keys there and before the doors are closed: threads of its own. False: reason
     * logged. */
    bool (*start)(const struct driver *driver);
    /* Before the keys are freed. False: a thread hangs, and may go on to use all that there is. */
    bool (*stop)(const struct driver *driver);
    /* After the keys are freed. */
    void (*close)(struct driver *driver);

    /* Keys that are in its device, with its state; NULL: it has none. */
    const struct key_device *device;
    /* How many jobs for such a key it takes at once, at most DRIVER_BATCH_MAX; 0: it does not
     * serve such keys. After open(). */
    size_t (*width)(const struct driver *driver, const struct key *key);
    /* A batch of up to so many takes less time than one of more; NULL: all take the same. */
    size_t (*small_width)(const struct key *key);
    /* Its own form of the key: sets key->prepared and key->release. False: it cannot serve this
     * one. */
    bool (*key_prepare)(const struct driver *driver, struct key *key);

    /* NULL: out of memory. Before the doors are closed. */
    void *(*thread_new)(const struct driver *driver);
    void (*thread_free)(void *thread);
    /*
     * Signs the digests (Ed25519, ML-DSA: the messages): sets result and result_length, or
     * error, of each job: to IMMURE_E_SIGNING, or to IMMURE_E_DEVICE where the device is away. The
     * signer verifies what is not marked as verified.
     */
    void (*sign)(const struct driver *driver, void *thread, struct job *const *batch, size_t count);
};

extern const struct driver driver_openssl;
extern const struct driver driver_multibuffer;
extern const struct driver driver_provider;

#endif
