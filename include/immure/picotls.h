/*
 * libimmure for servers on picotls: a ptls_sign_certificate_t whose signatures come from immured.
 *
 * picotls has no releases, so this is no library: src/adapter/picotls/picotls.c (installed in
 * share/immure/adapter) is compiled into the application, with the application's picotls.
 *
 *     immure_picotls_signer_init(&signer, key_id, spki, spki_length);
 *     signer.client = ...;                     returns the client that a connection uses
 *     context->sign_certificate = &signer.super;
 *     ...
 *     ptls_handshake(tls, ...);                PTLS_ERROR_ASYNC_OPERATION
 *     job = ptls_get_async_job(tls);
 *     job->set_completion_callback(job, wake, connection);
 *     ... wake(connection) is called: ptls_handshake() again, without input
 *
 * If a connection ends while it waits, ptls_free() is enough: it cancels the request. There is no
 * descriptor: the job's get_fd is NULL.
 *
 * For servers only: picotls cannot authenticate clients asynchronously, and this never blocks.
 *
 * Threads: a signer may be shared by the threads of a server once it is set up. A connection
 * belongs to the thread of its client.
 *
 * Source: ptls_async_job_t in picotls.h.
 */
#ifndef IMMURE_PICOTLS_H
#define IMMURE_PICOTLS_H

#include <picotls.h>

#include "immure/client.h"

#ifdef __cplusplus
extern "C" {
#endif

#define IMMURE_PICOTLS_SCHEMES_MAX 3

struct immure_picotls_signer {
    ptls_sign_certificate_t super; /* first */
    uint8_t key_id[IMMURE_KEY_ID_SIZE];
    uint16_t schemes[IMMURE_PICOTLS_SCHEMES_MAX]; /* of TLS 1.3, in the order of preference */
    size_t scheme_count;

    /* Set by the application. */

    /* Returns the client of the thread of this connection, and may set *deadline (absolute, ns).
     * NULL: the handshake fails. */
    struct immure_client *(*client)(struct immure_picotls_signer *signer, ptls_t *tls,
                                    uint64_t *deadline);
    /* NULL, or called with each reply before the completion callback, for logs and figures. It may
     * free the connection; the completion callback then is not called. */
    void (*told)(struct immure_picotls_signer *signer, ptls_t *tls,
                 const struct immure_reply *reply);
    void *data;
};

/*
 * Zeroes *signer and sets all fields but those of the application. The key id and the DER
 * SubjectPublicKeyInfo come from a key reference (immure/reference.h) or from IMMURE_LIST. False:
 * TLS 1.3 has no signatures with keys of this type. Allocates nothing and keeps no pointer.
 */
bool immure_picotls_signer_init(struct immure_picotls_signer *signer,
                                const uint8_t key_id[IMMURE_KEY_ID_SIZE], const uint8_t *spki,
                                size_t spki_length);

#ifdef __cplusplus
}
#endif

#endif
