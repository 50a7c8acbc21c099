/* Jobs that no client asked for: to measure with, and to try keys out. */
#ifndef KEYD_SIGN_SAMPLE_H
#define KEYD_SIGN_SAMPLE_H

#include "keyd/sign/job.h"
#include "keyd/sign/kind.h"

struct sample {
    struct job *jobs[DRIVER_BATCH_MAX];
    size_t count;
};

/* `count` signatures of a TLS 1.3 server's message, with PSS or without, where the key has both.
 * False: out of memory, or the key has no scheme. */
bool sample_make(struct sample *sample, const struct key *key, bool pss, size_t count);
/* Verifies each with the copy of the public key, in libcrypto's simplest way. False: logged. */
bool sample_good(const struct sample *sample);
void sample_free(struct sample *sample);

#endif
