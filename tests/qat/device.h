/*
 * The device: instances with a ring of requests each. Polling an instance computes and answers, in
 * order, the requests whose delay has passed.
 */
#ifndef QAT_DEVICE_H
#define QAT_DEVICE_H

#include <openssl/bn.h>
#include <stdbool.h>
#include <stdint.h>

#include <qat/cpa.h>
#include <qat/cpa_cy_common.h>
#include <qat/cpa_cy_ecdsa.h>

/* Writes the results of `data` to `out`, big-endian and zero-padded. `wrong`: not quite. False: it
 * cannot. */
typedef bool compute(BN_CTX *context, const void *data, bool wrong, CpaFlatBuffer *const out[2]);

struct request {
    compute *compute;
    const void *data;               /* the caller's, until the callback */
    CpaFlatBuffer *out[2];          /* the caller's; the second is NULL where there is one result */
    CpaCyGenFlatBufCbFunc callback; /* of one result */
    CpaCyEcdsaSignRSCbFunc callback_pair; /* of two */
    void *tag;
    uint64_t due; /* CLOCK_MONOTONIC, ns; the device's */
    struct request *next;
};

/* Takes a copy of the request, or answers CPA_STATUS_RETRY (the ring is full) or _RESTARTING. */
CpaStatus device_submit(CpaInstanceHandle instance, const struct request *request);

#endif
