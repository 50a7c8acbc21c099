/*
 * One signature that a device makes. It has its own copy of its input, because the signer may stop
 * waiting and go on without it. The device's lock guards `state` and `abandoned`.
 */
#ifndef KEYD_DRIVER_PROVIDER_OPERATION_H
#define KEYD_DRIVER_PROVIDER_OPERATION_H

#include <openssl/async.h>

#include "keyd/driver/provider/key.h"
#include "keyd/sign/job.h"

enum operation_state { OPERATION_WAITING, OPERATION_RUNNING, OPERATION_DONE };

struct device_operation {
    struct list node; /* while it waits */
    enum operation_state state;
    bool abandoned; /* nobody waits for it, so the device's thread frees it */
    bool good;      /* the outcome when it is done */

    struct module *module;
    const struct device_key *key;
    EVP_PKEY *handle;     /* its own reference; NULL: not begun */
    ASYNC_JOB *job;       /* NULL: not paused */
    ASYNC_WAIT_CTX *wait; /* of the job */
    const struct wire_scheme *scheme;
    size_t input_length, signature_length;
    uint8_t *signature; /* after the input */
    uint8_t input[];
};

/* NULL: out of memory. */
struct device_operation *operation_new(const struct device_key *key,
                                       const struct wire_scheme *scheme, const uint8_t *input,
                                       size_t length, struct module *module);
void operation_free(struct device_operation *operation);
/* Signs on the caller's stack. */
bool operation_run(struct device_operation *operation);

/* Begins or continues to sign in an ASYNC job, which pauses instead of waiting for the device. All
 * calls must come from one thread. False: it has paused. True: it is over, with *good as the
 * outcome. */
bool operation_resume(struct device_operation *operation, bool *good);
/* The descriptor that becomes readable when a paused operation can continue; -1: there is none, and
 * the caller must try again soon. */
int operation_descriptor(const struct device_operation *operation);

/* Signs to the end or the time limit, in an ASYNC job if the module is asynchronous. False: it
 * failed; or it is paused and `abandoned`, and must not be freed before operation_resume() has
 * finished it. */
bool operation_complete(struct device_operation *operation);

#endif
