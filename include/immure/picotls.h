/*
 * libimmure for servers on picotls: a ptls_sign_certificate_t whose signatures come from immured.
 *
 * picotls has no releases, so this is no library: src/adapter/picotls/picotls.c (installed in
 * share/immure/adapter) is compiled into the application, with the application's picotls.
 *
 *     immure_picotls_signer_init(&signer, key_id, spki, spki_length);
 *     signer.client = ...;                     which client asks for a connection's signature
 *     context->sign_certificate = &signer.super;
 *     ...
 *     ptls_handshake(tls, ...);                PTLS_ERROR_ASYNC_OPERATION
 *     job = ptls_get_async_job(tls);
 *     job->set_completion_callback(job, wake, connection);
 *     ... wake(connection) is called: ptls_handshake() again, without input
 *
 * A connection that ends while it waits needs nothing but ptls_free(), which cancels the request.
 * There is no descriptor: the job's get_fd is NULL.
 *
 * Only servers: picotls has no asynchronous client authentication, and waiting is not for this.
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

    /* The application's. */

    /* The client of the thread that the connection is on; it may set *deadline (absolute, ns).
     * NULL: the handshake fails. */
    struct immure_client *(*client)(struct immure_picotls_signer *signer, ptls_t *tls,
                                    uint64_t *deadline);
    /* NULL, or told of each reply before the completion callback, for logs and figures. It may free
     * the connection, which then is not called back. */
    void (*told)(struct immure_picotls_signer *signer, ptls_t *tls,
                 const struct immure_reply *reply);
    void *data;
};

/*
 * Zeroes *signer and sets all but what is the application's. The key id and the DER
 * SubjectPublicKeyInfo come from a key reference (immure/reference.h) or from IMMURE_LIST. False:
 * a key of a type that TLS 1.3 has no signatures for. Allocates nothing, keeps no pointer.
 */
bool immure_picotls_signer_init(struct immure_picotls_signer *signer,
                                const uint8_t key_id[IMMURE_KEY_ID_SIZE], const uint8_t *spki,
                                size_t spki_length);

#ifdef __cplusplus
}
#endif

#endif
