/*
 * What signs what, by measurement: before the doors close, a key of each kind signs alone, in a
 * full batch, and in a small batch where the driver has one (small_width). A batch is worth while
 * from the count of jobs on that would take as long one by one; where that is never, the kind is
 * signed one by one.
 */
#ifndef KEYD_SIGN_CALIBRATE_H
#define KEYD_SIGN_CALIBRATE_H

#include "keyd/keys/keyring.h"
#include "keyd/sign/kind.h"
#include "keyd/sign/signer.h"

/* False: a key makes no good signatures; reason logged. */
bool calibrate(struct kinds *kinds, const struct keyring *keyring, struct signer *signer);

#endif
