/*
 * The certificates in force for a thread: a store that all threads of the worker share, and what
 * the thread has parsed of it.
 *
 * Other certificates can come into force while the thread serves. A handshake goes on with those
 * that it began with, so those before stay until no handshake uses them.
 */
#ifndef PROXY_WORKER_ROUTE_CERTIFICATES_H
#define PROXY_WORKER_ROUTE_CERTIFICATES_H

#include <stdatomic.h>

#include "base/list.h"
#include "proxy/worker/route/certificate_cache.h"

/* The worker's main thread opens it, and closes it when no thread has it any more. */
struct shared_store {
    struct store *store;
    atomic_bool *keyless;     /* for each certificate: immured holds no key for it */
    _Atomic unsigned threads; /* that have it */
};

struct certificates {
    struct list node; /* among those that were in force before */
    struct shared_store *shared;
    const struct store *store; /* the same */
    struct certificate_cache cache;
    size_t uses; /* by handshakes */
};

/* `most`: see certificate_cache.h. NULL: out of memory. */
struct certificates *certificates_new(struct shared_store *shared, OSSL_LIB_CTX *library,
                                      OSSL_LIB_CTX *reader, size_t most);
/* NULL is allowed. */
void certificates_free(struct certificates *certificates);

#endif
