#include "keyd/sign/opener.h"

#include <stdlib.h>

#include "base/log.h"
#include "keyd/keys/pem.h"
#include "keyd/sign/kind.h"

/* Without the driver's own form libcrypto signs with the key: see signer.c. */
static void prepare(struct key *key)
{
    const struct driver *batch = key->kind != NULL ? key->kind->batch : NULL;
    if (batch != NULL && batch->key_prepare != NULL)
        batch->key_prepare(batch, key);
}

/* Without memory for the proof the key is examined again the next time. */
static void note_proof(struct key_use *use, const struct key *made)
{
    struct key_proof *proof = key_prove(made, use->compact->der, use->compact->length);
    struct key_proof *before = NULL;
    if (!atomic_compare_exchange_strong(&use->proof, &before, proof))
        free(proof); /* another thread was quicker */
}

static enum opener_result decode(struct opener *opener, struct key_use *use, struct key **made)
{
    const struct compact_key *compact = use->compact;
    char reason[256];
    if (opener->reader == NULL)
        opener->reader = der_reader_new();
    if (opener->reader == NULL)
        return OPENER_NO_MEMORY;
    const struct key_proof *proof = atomic_load(&use->proof);
    *made = key_decode(&use->key, opener->reader, compact->der, compact->length, proof, reason,
                       sizeof reason);
    if (*made != NULL) {
        if (proof == NULL)
            note_proof(use, *made);
        prepare(*made);
        return OPENER_GOOD;
    }
    if (reason[0] == '\0')
        return OPENER_NO_MEMORY;
    if (!atomic_exchange(&use->damaged, true))
        log_error("%s: key \"%s\": %s; it does not sign", use->key.location, use->key.name, reason);
    return OPENER_DAMAGED;
}

enum opener_result opener_open(struct opener *opener, const struct key *key,
                               const struct key **ready)
{
    *ready = key;
    if (!key->on_demand)
        return OPENER_GOOD;
    struct key_use *use = compact_use_of(key);
    struct key *found = atomic_load(&use->ready), *made;
    if (found == NULL) {
        if (atomic_load(&use->damaged))
            return OPENER_DAMAGED;
        enum opener_result result = decode(opener, use, &made);
        if (result != OPENER_GOOD)
            return result;
        if (atomic_compare_exchange_strong(&use->ready, &found, made))
            found = made;
        else
            key_free(made); /* another thread was quicker */
    }
    *ready = found;
    return OPENER_GOOD;
}

void opener_release(struct opener *opener)
{
    der_reader_free(opener->reader);
    opener->reader = NULL;
}
