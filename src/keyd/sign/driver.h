/*
 * A driver signs: with libcrypto, with crypto_mb, or with a device behind an OpenSSL provider. Each
 * has one file with a `const struct driver`, its prototype, and a place in the list of main.c. An
 * instance is a copy of the prototype with a state of its own:
 *
 *     open, [key_prepare...], start, [thread_new, sign..., thread_free], stop, close
 *
 * The configuration, the log and the wire protocol have always called a driver a backend. In the
 * code a backend is a server behind the proxy, and an engine is one of OpenSSL's
 * (keyd/driver/provider/engine.h).
 *
 * A batch holds jobs of one kind (keyd/sign/kind.h); the keys and schemes in it may differ. Each
 * thread that signs has a state of its own, which is never used by two threads at once. All
 * functions but `width` and `sign` may be NULL if there is nothing to do.
 */
#ifndef KEYD_SIGN_DRIVER_H
#define KEYD_SIGN_DRIVER_H

#include "keyd/sign/job.h"

#define DRIVER_BATCH_MAX 128

struct driver {
    const char *name; /* as in the configuration; "NAME:SECTION" if the instance has a section */
    uint8_t number;   /* enum wire_backend, which clients are told */
    uint16_t figure;  /* enum wire_stat_number of its signatures; 0: they are not counted */

    bool sections;   /* one instance for each section of the configuration; else there is one */
    bool privileged; /* open() and start() may need root, and may start a library's threads */
    bool lanes;      /* a batch costs the same however full it is (but see small_width()), so that
                        libcrypto signs what is too little for one */
    bool fallback;   /* libcrypto repeats what it fails at: the whole key pair is in memory */
    bool waits;      /* a batch may wait for a device, so the event loop never signs with it */

    /* The members of an instance. */
    const void *settings; /* its own struct of the configuration */
    void *state;          /* set by open() */
    const int *calls;     /* system calls that only it needs, ended by -1; or NULL */
    char *section_name;   /* the memory of `name`, if it has a section */

    /* Loads what it needs and tests itself, once, before keys are loaded; `files` holds the files
     * that the configuration names. False: it cannot work here, `reason` says why in one line, and
     * there is nothing to close. */
    bool (*open)(struct driver *driver, const struct files *files, char *reason, size_t size);
    /* Starts its own threads, after all keys are loaded and before the sandbox is entered. False:
     * reason logged. */
    bool (*start)(const struct driver *driver);
    /* Called before the keys are freed. False: a thread hangs, and may still use anything. */
    bool (*stop)(const struct driver *driver);
    /* Called after the keys are freed. */
    void (*close)(struct driver *driver);

    /* How keys in its device are loaded, with its state; NULL: it has no such keys. */
    const struct key_device *device;
    /* How many jobs for such a key it takes at once, at most DRIVER_BATCH_MAX; 0: it does not
     * support such keys. Called after open(). */
    size_t (*width)(const struct driver *driver, const struct key *key);
    /* The greatest size of a small batch, which takes less time than a larger one; NULL: all take
     * the same time. */
    size_t (*small_width)(const struct key *key);
    /* Makes its own form of the key: sets key->prepared and key->release. False: it does not
     * support this key. */
    bool (*key_prepare)(const struct driver *driver, struct key *key);

    /* NULL: out of memory. Called before the sandbox is entered. */
    void *(*thread_new)(const struct driver *driver);
    void (*thread_free)(void *thread);
    /* Lets go of all keys that the thread's state refers to. */
    void (*thread_clear)(void *thread);
    /*
     * Signs the digests (Ed25519, ML-DSA: the messages). Of each job it sets result and
     * result_length, or error: to IMMURE_E_DEVICE if the device is away, else to IMMURE_E_SIGNING.
     * The signer verifies each signature that is not marked as verified.
     */
    void (*sign)(const struct driver *driver, void *thread, struct job *const *batch, size_t count);
};

extern const struct driver driver_openssl;
extern const struct driver driver_multibuffer;
extern const struct driver driver_provider;

#endif
