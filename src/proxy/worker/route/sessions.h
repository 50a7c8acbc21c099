/*
 * Which session may be resumed where, and by which means: tickets (tickets.h), or for TLS 1.2
 * clients that support none, the cache of session ids (session_cache.h).
 *
 * The scope of a session is its route, its set of certificates and the name that its client asked
 * for. A session is not resumed in another scope, in TLS 1.2 or 1.3 (RFC 6066, section 3; RFC
 * 8446, section 4.6.1): its client makes a full handshake. libssl compares the scope as the
 * "session id context", which is in every session, whether in a ticket or in the cache.
 *
 * If a route asks for client certificates, what it verifies them by (CA certificates and revocation
 * lists, as the files have them) belongs to its scope: a new list ends all sessions that were made
 * by an older one, so a revoked client is refused in its next handshake, whichever certificate of
 * its chain was revoked. The client's certificate is in the ticket. It is not in the cache: such
 * sessions are resumed by tickets only.
 */
#ifndef PROXY_WORKER_ROUTE_SESSIONS_H
#define PROXY_WORKER_ROUTE_SESSIONS_H

#include <openssl/ssl.h>

#include "proxy/config/config.h"
#include "proxy/store/store.h"
#include "proxy/worker/route/session_cache.h"
#include "proxy/worker/route/tickets.h"

struct client_check; /* client_check.h */

#define SESSION_SCOPE_SIZE SSL_MAX_SID_CTX_LENGTH

/* Each thread has its own. */
struct sessions {
    struct tickets tickets;
    struct session_cache *cache; /* shared by all threads; NULL: none */
    OSSL_LIB_CTX *library;
    EVP_MD *sha256;
    EVP_MD_CTX *hash;
};

/* The cache outlives *sessions. False: OpenSSL refused; call sessions_release() all the same. */
bool sessions_init(struct sessions *sessions, OSSL_LIB_CTX *library, const struct ticket_keys *keys,
                   struct session_cache *cache);
void sessions_release(struct sessions *sessions);

/* libssl looks for sessions as the context says with which an SSL was made, and announces them as
 * the context says that it has got since. */
enum session_use {
    SESSIONS_ENTERED, /* SSLs are made with this context */
    SESSIONS_SERVED   /* SSLs get this context when their route is known */
};

/* Makes an SSL_CTX resume its sessions by *sessions. `tickets` is the number of tickets in a
 * TLS 1.3 handshake; 0: no resumption at all. */
bool sessions_use(struct sessions *sessions, SSL_CTX *context, unsigned tickets,
                  enum session_use use);

/* Computes the scope of a route: of all its sessions, whatever certificates they use. False:
 * OpenSSL refused. */
bool sessions_route_scope(struct sessions *sessions, const char *frontend,
                          const struct route_config *route, const struct client_check *clients,
                          uint8_t scope[SESSION_SCOPE_SIZE]);
/* The session of this connection is not resumed from the time `until` on (seconds since 1970), when
 * what its client was verified by expires. False: out of memory. */
bool sessions_bind(SSL *ssl, int64_t until);

/* For a client_hello callback: sets the scope of this connection. `of` is that of its route;
 * `certificates` are those of the store that it may get; `name` is what the client asked for, or
 * NULL. */
bool sessions_set_scope(struct sessions *sessions, SSL *ssl, const uint8_t *of,
                        const struct store *store,
                        const uint32_t certificates[CERTIFICATE_KIND_COUNT], const char *name);

#endif
