/* Jobs that no client has requested, for measuring and for testing keys. */
#ifndef KEYD_SIGN_SAMPLE_H
#define KEYD_SIGN_SAMPLE_H

#include "keyd/sign/job.h"
#include "keyd/sign/kind.h"

struct sample {
    struct job *jobs[DRIVER_BATCH_MAX];
    size_t count;
};

/* Makes `count` jobs that sign a TLS 1.3 server's message. `pss` chooses the padding if the key has
 * both. False: out of memory, or the key has no scheme. */
bool sample_make(struct sample *sample, const struct key *key, bool pss, size_t count);
/* Verifies each signature with the public copy of the key, by libcrypto's simplest interface.
 * False: reason logged. */
bool sample_good(const struct sample *sample);
void sample_free(struct sample *sample);

#endif
