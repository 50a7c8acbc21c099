/*
 * Before the event loop runs, every key signs on the signer threads and is verified, once for each
 * padding it has, alone and in a batch: shows a damaged key before a client does, and lets
 * libcrypto set up what it sets up lazily while it still may.
 */
#ifndef KEYD_SIGN_WARM_UP_H
#define KEYD_SIGN_WARM_UP_H

#include "keyd/keys/keyring.h"
#include "keyd/sign/crew.h"

/* False: reason logged. */
bool warm_up(struct crew *crew, const struct keyring *keyring);

/* With the doors closed: every key that is in a device signs once more, by `signer`. False: reason
 * logged. */
bool warm_up_devices(struct signer *signer, const struct keyring *keyring);

#endif
