/* Keys that immured has refused, and why. Their certificates are not served. */
#ifndef PROXY_STORE_REFUSALS_H
#define PROXY_STORE_REFUSALS_H

#include "proxy/store/slots.h"
#include "proxy/store/store.h"

struct refusal {
    uint8_t key_id[STORE_HASH_SIZE];
    char reason[256];
};

struct refusals {
    struct refusal *of;
    uint32_t count;
    struct slots slots; /* by key id */
};

/* False: out of memory. */
bool refusals_add(struct refusals *refusals, const uint8_t key_id[static STORE_HASH_SIZE],
                  const char *reason);
/* Returns the reason; NULL: the key was not refused. */
const char *refusals_find(const struct refusals *refusals,
                          const uint8_t key_id[static STORE_HASH_SIZE]);
void refusals_free(struct refusals *refusals);

#endif
