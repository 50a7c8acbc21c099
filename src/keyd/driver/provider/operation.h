/*
 * One signature to be made by a device. Its own copy of what it needs, because whoever asked may
 * stop waiting. The device's lock guards `state` and `abandoned`.
 */
#ifndef KEYD_DRIVER_PROVIDER_OPERATION_H
#define KEYD_DRIVER_PROVIDER_OPERATION_H

#include <openssl/async.h>

#include "keyd/driver/provider/key.h"
#include "keyd/sign/job.h"

enum operation_state { OPERATION_WAITING, OPERATION_RUNNING, OPERATION_DONE };

struct operation {
    struct list node; /* while it waits */
    enum operation_state state;
    bool abandoned; /* nobody waits for it: freed by the device's thread */
    bool good;      /* when it is done */

    struct module *module;
    const struct device_key *key;
    EVP_PKEY *handle;     /* its own reference; NULL: not begun */
    ASYNC_JOB *job;       /* where it has paused */
    ASYNC_WAIT_CTX *wait; /* of the job */
    const struct wire_scheme *scheme;
    size_t input_length, signature_length;
    uint8_t *signature; /* behind the input */
    uint8_t input[];
};

/* NULL: out of memory. */
struct operation *operation_new(const struct device_key *key, const struct wire_scheme *scheme,
                                const uint8_t *input, size_t length, struct module *module);
void operation_free(struct operation *operation);
/* Signs, on the stack it is called on. */
bool operation_run(struct operation *operation);

/* Within an ASYNC job: where the device would wait, it pauses instead. Begins, or goes on, always
 * on one thread. False: it has paused. True: it is over, and *good says how. */
bool operation_resume(struct operation *operation, bool *good);
/* What a paused one waits for: a descriptor that will be readable, or -1: nobody can know, ask
 * again soon. */
int operation_descriptor(const struct operation *operation);

/* Signs in an ASYNC job, if the module is asynchronous, and to its end or the time limit. False: it
 * failed; or it has paused and is abandoned, and must not be freed before operation_resume() has
 * brought it to its end. */
bool operation_complete(struct operation *operation);

#endif
