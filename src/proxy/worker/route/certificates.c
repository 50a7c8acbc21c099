#include "proxy/worker/route/certificates.h"

#include <stdlib.h>

struct certificates *certificates_new(struct shared_store *shared, OSSL_LIB_CTX *library,
                                      OSSL_LIB_CTX *reader, size_t most)
{
    struct certificates *certificates = calloc(1, sizeof *certificates);
    if (certificates == NULL)
        return NULL;
    certificates->shared = shared;
    certificates->store = shared->store;
    list_init(&certificates->node);
    atomic_fetch_add(&shared->threads, 1);
    if (certificate_cache_open(&certificates->cache, shared->store, library, reader, most))
        return certificates;
    certificates_free(certificates);
    return NULL;
}

void certificates_free(struct certificates *certificates)
{
    if (certificates == NULL)
        return;
    certificate_cache_close(&certificates->cache);
    list_remove(&certificates->node);
    atomic_fetch_sub(&certificates->shared->threads, 1);
    free(certificates);
}
