/*
 * Before the event loop runs, every key signs on the signer threads, of compact keys one of each
 * kind, once for each padding it has, alone and in a batch, and the signatures are verified. This
 * finds a damaged key before a client does, and has libcrypto do its lazy initialisation while the
 * sandbox still allows it.
 */
#ifndef KEYD_SIGN_WARM_UP_H
#define KEYD_SIGN_WARM_UP_H

#include "keyd/keys/keyring.h"
#include "keyd/sign/crew.h"

/* False: reason logged. */
bool warm_up(struct crew *crew, const struct keyring *keyring, const struct kinds *kinds);

/* Inside the sandbox, every key in a device signs once more with `signer`. False: reason logged. */
bool warm_up_devices(struct signer *signer, const struct keyring *keyring);

#endif
