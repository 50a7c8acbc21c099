/*
 * Signer threads: each takes batches from the queue, has the backend sign them, verifies every RSA
 * signature with the public key (a fault in the CRT computation would give the key away: Boneh,
 * DeMillo, Lipton 1997) and hands the batch back. They run at a lower weight than event loops.
 */
#ifndef KEYD_SIGNER_H
#define KEYD_SIGNER_H

#include "keyd/backend/backend.h"
#include "keyd/keyring.h"
#include "keyd/queue.h"

struct signers;

/* `threads` that serve all classes and one express. NULL: reason logged. */
struct signers *signers_start(struct queue *queue, const struct backend *backend, unsigned threads);
/*
 * Every key signs and is verified, once for each padding it has, on the signer threads: shows a
 * damaged key before a client does, and lets libcrypto set up what it sets up lazily while it still
 * may. Before the event loop runs. False: reason logged.
 */
bool signers_warm_up(struct queue *queue, const struct keyring *keyring);
/* Closes the queue, waits for the threads and frees them. */
void signers_stop(struct signers *signers);

#endif
