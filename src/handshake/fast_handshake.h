/*
 * A built-in provider that makes the operations cheaper that libssl asks of libcrypto in each TLS
 * 1.3 handshake. Its library context belongs to one thread. It provides:
 *
 *   - the key schedule: HKDF over SHA-256 and SHA-384 on digest contexts that are reused;
 *   - X25519 key pairs from a pool, made eight at a time by Intel's crypto_mb;
 *   - X25519 secrets, derived eight at a time for all handshakes of a loop turn.
 *
 * The last part needs the event loop's help. Within an OpenSSL async job (SSL_MODE_ASYNC) a
 * derivation pauses (SSL_ERROR_WANT_ASYNC). At the end of the turn the loop calls
 * fast_handshake_run(), which derives all pending secrets and calls wake() for each; the connection
 * then calls SSL_do_handshake() again. No derivation waits beyond its turn for a full batch.
 * OpenSSL derives a secret that is alone in its turn, and every secret outside a job.
 *
 *     fast_handshake_enter(fast, &connection->derivation);
 *     result = SSL_do_handshake(ssl);
 *     fast_handshake_leave(fast);
 *
 * To end a connection while its derivation is pending: fast_handshake_cancel(), one more
 * SSL_do_handshake() (which fails and returns the job to OpenSSL's pool), then SSL_free().
 *
 * Source: RFC 8446, section 7.1; RFC 7748; ASYNC_start_job(3).
 */
#ifndef HANDSHAKE_FAST_HANDSHAKE_H
#define HANDSHAKE_FAST_HANDSHAKE_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

enum fast_handshake_part {
    FAST_KEY_SCHEDULE = 1,
    FAST_KEY_PAIRS = 2,
    FAST_DERIVATION = 4,
    FAST_ALL = FAST_KEY_SCHEDULE | FAST_KEY_PAIRS | FAST_DERIVATION
};

/* Clauses of a property query: the first for SSL_CTX_new_ex(), the second for everything else, so
 * that nothing else fetches from this provider by chance. */
#define FAST_HANDSHAKE_WANTED "?immure.handshake=yes"
#define FAST_HANDSHAKE_UNWANTED "?immure.handshake=no"

/* Once per context. Parts of `wanted` that this machine does not support are left out. NULL: out of
 * memory. From now on only one thread may use `context` and this provider. */
struct fast_handshake *fast_handshake_open(OSSL_LIB_CTX *context, unsigned wanted);
/* Call it after every SSL_CTX_free() and before OSSL_LIB_CTX_free(). NULL is allowed. */
void fast_handshake_close(struct fast_handshake *fast);

/* The parts in force; and one line of text that lists them, names the library, and says why X25519
 * is missing. */
unsigned fast_handshake_parts(const struct fast_handshake *fast);
void fast_handshake_describe(const struct fast_handshake *fast, char *text, size_t size);

/* The waiter of one handshake. The owner zeroes it and sets `wake`. */
struct derivation_waiter {
    void (*wake)(struct derivation_waiter *waiter);
    struct derivation *waits_for; /* NULL: nothing */
};

/* Derivations in the handshake step between these two calls may pause, and wake this waiter. With
 * NULL they do not pause, which is better for a derivation that will be the only one of its
 * turn. */
void fast_handshake_enter(struct fast_handshake *fast, struct derivation_waiter *waiter);
void fast_handshake_leave(struct fast_handshake *fast);
/* Takes the pending derivation, if any, out of the batch; wake() will not be called. */
void fast_handshake_cancel(struct derivation_waiter *waiter);
/* Whether the next batch is full. */
bool fast_handshake_full(const struct fast_handshake *fast);
/* Whether any derivation is pending. */
bool fast_handshake_waiting(const struct fast_handshake *fast);
/* Derives all pending secrets and wakes their waiters. */
void fast_handshake_run(struct fast_handshake *fast);

#endif
