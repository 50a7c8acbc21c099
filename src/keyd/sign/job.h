/*
 * One signature to make, or one premaster secret to decrypt, which is the same work with an RSA key
 * and waits in the same line.
 *
 * Its life: made by the session's SIGN or DECRYPT, owned by the queue while it waits, by one signer
 * while it is signed, and answered and freed by the event loop, which is also the only one that
 * looks at `session` and `flow`. A session is there until its last job is done, even if its client
 * is not.
 */
#ifndef KEYD_SIGN_JOB_H
#define KEYD_SIGN_JOB_H

#include "base/list.h"
#include "immure/error.h"
#include "keyd/keys/key.h"

#define JOB_DIGEST_MAX 64 /* SHA-512 */

struct driver;
struct flow;
struct session;

enum job_operation { JOB_SIGN, JOB_DECRYPT };

struct job {
    struct list queue_node; /* in its flow, and when it is done in whoever's list */
    struct list age_node;
    struct list session_node;
    struct session *session;
    uint64_t id;       /* of the request */
    struct flow *flow; /* of its session and kind; the queue's */
    bool waiting;      /* in the queue, not yet taken; the queue's */
    uint64_t charged;  /* to its owners, ns; the queue's */

    struct job *in_flight_next; /* in the table of those in flight (in_flight.h) */
    uint64_t in_flight_session;

    const struct key *key;
    enum job_operation operation;
    const struct wire_scheme *scheme; /* JOB_SIGN */
    uint16_t client_version;          /* JOB_DECRYPT */
    uint64_t queued_at, deadline;     /* CLOCK_MONOTONIC, ns; no deadline: UINT64_MAX */
    const uint8_t *message;           /* or ciphertext */
    size_t message_length;

    /* The signer's */
    uint8_t digest[JOB_DIGEST_MAX]; /* of the message; none for Ed25519 */
    size_t digest_length;

    /* The outcome */
    enum immure_error error;
    const struct driver *driver; /* that signed */
    bool signed_again;           /* another had failed at it */
    bool verified;               /* the driver did, with what it took from key->spki */
    uint64_t queue_ns, sign_ns;
    uint8_t *result; /* a signature, or a premaster secret; room for key->signature_max bytes */
    size_t result_length;
};

/* Copies the message. `scheme` NULL: a decryption. NULL: out of memory. */
struct job *job_new(const struct key *key, const struct wire_scheme *scheme, const uint8_t *message,
                    size_t message_length);
/* Wipes all of it: a premaster secret, or a signature that was withheld, may be there. */
void job_free(struct job *job);
/* The memory that such a job takes, with the reply that it will have; bytes. */
size_t job_cost(const struct key *key, size_t message_length);

#endif
