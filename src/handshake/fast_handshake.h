/*
 * What libssl asks of libcrypto in each TLS 1.3 handshake, done with less: a built-in provider for
 * a library context that one thread uses.
 *
 *   - the key schedule: HKDF over SHA-256 and SHA-384 on kept digest contexts;
 *   - X25519 key pairs from a pool, made eight at a time by Intel's crypto_mb;
 *   - X25519 secrets of all handshakes of a loop turn together, eight at a time.
 *
 * The last needs the loop's help. Within an OpenSSL async job (SSL_MODE_ASYNC) a derivation pauses
 * (SSL_ERROR_WANT_ASYNC), fast_handshake_run() at the end of the turn derives all that wait, and
 * wake() is called for each: call SSL_do_handshake() again. Nothing waits for others to come; one
 * alone is derived by OpenSSL, as is everything outside a job.
 *
 *     fast_handshake_enter(fast, &connection->derivation);
 *     result = SSL_do_handshake(ssl);
 *     fast_handshake_leave(fast);
 *
 * A connection that ends while it waits: fast_handshake_cancel(), one more SSL_do_handshake() (it
 * fails, and the job is returned), then SSL_free().
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
 * that nothing else finds this provider by chance. */
#define FAST_HANDSHAKE_WANTED "?immure.handshake=yes"
#define FAST_HANDSHAKE_UNWANTED "?immure.handshake=no"

/* Once in a context's life. Parts of `wanted` that this machine cannot do are left out. NULL: no
 * memory. From now on one thread uses `context` and this. */
struct fast_handshake *fast_handshake_open(OSSL_LIB_CTX *context, unsigned wanted);
/* After every SSL_CTX and before the context. NULL is allowed. */
void fast_handshake_close(struct fast_handshake *fast);

/* The parts in force, and one line that says which, with what, and why not the others. */
unsigned fast_handshake_parts(const struct fast_handshake *fast);
void fast_handshake_describe(const struct fast_handshake *fast, char *text, size_t size);

/* What one handshake waits with. The owner zeroes it and sets `wake`. */
struct derivation_waiter {
    void (*wake)(struct derivation_waiter *waiter);
    struct derivation *waits_for; /* NULL: nothing */
};

/* Derivations of the handshake step between the two may pause with this waiter; NULL: they do not,
 * which is better for one that will be alone. */
void fast_handshake_enter(struct fast_handshake *fast, struct derivation_waiter *waiter);
void fast_handshake_leave(struct fast_handshake *fast);
/* Leaves the batch; wake() will not be called. Harmless if it waits for nothing. */
void fast_handshake_cancel(struct derivation_waiter *waiter);
/* So many wait that another one would have to be derived apart. */
bool fast_handshake_full(const struct fast_handshake *fast);
/* Some wait for it. */
bool fast_handshake_waiting(const struct fast_handshake *fast);
/* Derives all that wait, and wakes them. */
void fast_handshake_run(struct fast_handshake *fast);

#endif
