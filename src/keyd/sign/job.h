/*
 * One signature to make, or one premaster secret to decrypt. The latter is the same work for an RSA
 * key, and waits in the same line.
 *
 * A SIGN or DECRYPT of a session makes the job. The queue owns it while it waits, then a signer
 * while it is signed; finally the event loop answers and frees it. Only the event loop looks at
 * `session` and `flow`. A session exists until its last job is done, even if its client is gone.
 */
#ifndef KEYD_SIGN_JOB_H
#define KEYD_SIGN_JOB_H

#include "base/list.h"
#include "immure/error.h"
#include "keyd/keys/key.h"

#define JOB_DIGEST_MAX 64 /* SHA-512 */

struct driver;
struct queue_flow;
struct session;

enum job_operation { JOB_SIGN, JOB_DECRYPT };

struct job {
    struct list queue_node; /* in its flow; when it is done, in a list of finished jobs */
    struct list age_node;
    struct list session_node;
    struct session *session;
    uint64_t id; /* of the request */

    /* Set by the queue. */
    struct queue_flow *flow; /* of its session and kind */
    bool waiting;            /* in the queue, not yet taken */
    uint64_t charged;        /* to its owners, ns */

    struct job *in_flight_next; /* in the table of jobs in flight (in_flight.h) */
    uint64_t in_flight_session;

    const struct key *key;
    enum job_operation operation;
    const struct wire_scheme *scheme; /* JOB_SIGN */
    uint16_t client_version;          /* JOB_DECRYPT */
    uint64_t queued_at, deadline;     /* CLOCK_MONOTONIC, ns; no deadline: UINT64_MAX */
    const uint8_t *message;           /* or ciphertext */
    size_t message_length;

    /* Set by the signer. */
    uint8_t digest[JOB_DIGEST_MAX]; /* of the message; none for Ed25519 */
    size_t digest_length;

    /* The outcome. */
    enum immure_error error;
    const struct driver *driver; /* the one that signed */
    bool signed_again;           /* by libcrypto, after another driver had failed */
    bool verified;               /* by the driver, with a public key that it took from key->spki */
    uint64_t queue_ns, sign_ns;
    uint8_t *result; /* a signature, or a premaster secret */
    size_t result_length;
    size_t result_max; /* key->signature_max */
};

/* Copies the message. `scheme` NULL: a decryption. NULL: out of memory. */
struct job *job_new(const struct key *key, const struct wire_scheme *scheme, const uint8_t *message,
                    size_t message_length);
/* Wipes the whole job: it may hold a premaster secret or a withheld signature. */
void job_free(struct job *job);
/* The memory of such a job and its reply, bytes. */
size_t job_cost(const struct key *key, size_t message_length);

#endif
