/*
 * Chooses the drivers of each kind by measurement: before the sandbox is entered, a key of each
 * kind signs alone, in a full batch, and in a small batch if the driver has one (small_width). A
 * batch is worthwhile from the number of jobs that would take as long one by one; if there is no
 * such number, jobs of the kind are signed one by one.
 */
#ifndef KEYD_SIGN_CALIBRATE_H
#define KEYD_SIGN_CALIBRATE_H

#include "keyd/sign/kind.h"
#include "keyd/sign/signer.h"

/* False: a key does not make good signatures; reason logged. */
bool calibrate(struct kinds *kinds, struct signer *signer);

#endif
