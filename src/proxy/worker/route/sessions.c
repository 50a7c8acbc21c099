#include "proxy/worker/route/sessions.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "proxy/worker/route/client_policy.h"

bool sessions_init(struct sessions *sessions, OSSL_LIB_CTX *library, const struct ticket_keys *keys,
                   struct session_cache *cache)
{
    sessions->library = library;
    sessions->cache = cache;
    sessions->sha256 = EVP_MD_fetch(library, "SHA256", NULL);
    sessions->hash = EVP_MD_CTX_new();
    return sessions->sha256 != NULL && sessions->hash != NULL &&
           tickets_init(&sessions->tickets, library, keys);
}

void sessions_release(struct sessions *sessions)
{
    tickets_release(&sessions->tickets);
    EVP_MD_CTX_free(sessions->hash);
    EVP_MD_free(sessions->sha256);
}

/* The index of an SSL_CTX's ex_data; drawn once for all, before threads start. */
static int sessions_index(void)
{
    static int index = -1;
    if (index < 0)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    return index;
}

static struct sessions *sessions_of(const SSL_CTX *context)
{
    return SSL_CTX_get_ex_data(context, sessions_index());
}

/* A TLS 1.3 session is in its ticket and nowhere else. libssl wants an id for it all the same; one
 * zero byte saves drawing random bytes for each ticket that no client would ever see. */
static int make_id(SSL *ssl, unsigned char *id, unsigned *length)
{
    const struct sessions *sessions = sessions_of(SSL_get_SSL_CTX(ssl));
    if (SSL_version(ssl) == TLS1_3_VERSION || sessions->cache == NULL) {
        id[0] = 0;
        *length = 1;
        return 1;
    }
    *length = SESSION_ID_SIZE;
    return RAND_bytes_ex(sessions->library, id, SESSION_ID_SIZE, 0) == 1;
}

/* Returns the id, or NULL if the session is not of a kind that the cache holds. */
static const uint8_t *id_of(SSL_SESSION *session)
{
    unsigned length;
    const uint8_t *id = SSL_SESSION_get_id(session, &length);
    return SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION &&
                   length == SESSION_ID_SIZE && SSL_SESSION_get0_peer(session) == NULL
               ? id
               : NULL;
}

/* The callbacks below are those of the context with which the SSL was made. Whether sessions are
 * resumed at all, its route says. */
static bool resumes(const SSL *ssl)
{
    return SSL_get_num_tickets(ssl) > 0;
}

/* Returns 0: no reference to the session is kept. */
static int store(SSL *ssl, SSL_SESSION *session)
{
    const uint8_t *id = resumes(ssl) ? id_of(session) : NULL;
    uint8_t bytes[SESSION_BYTES_MAX], *end = bytes;
    int length = id != NULL ? i2d_SSL_SESSION(session, NULL) : 0;
    if (length <= 0 || length > SESSION_BYTES_MAX || i2d_SSL_SESSION(session, &end) != length)
        return 0;
    session_cache_put(sessions_of(SSL_get_SSL_CTX(ssl))->cache, id, bytes, (size_t)length);
    OPENSSL_cleanse(bytes, (size_t)length);
    return 0;
}

static SSL_SESSION *fetch(SSL *ssl, const unsigned char *id, int length, int *copy)
{
    const struct sessions *sessions = sessions_of(SSL_get_SSL_CTX(ssl));
    uint8_t bytes[SESSION_BYTES_MAX];
    const uint8_t *next = bytes;
    *copy = 0; /* libssl takes over our reference */
    bool possible = resumes(ssl) && length == SESSION_ID_SIZE;
    size_t found = possible ? session_cache_get(sessions->cache, id, bytes) : 0;
    if (found == 0)
        return NULL;
    SSL_SESSION *session = d2i_SSL_SESSION(NULL, &next, (long)found);
    OPENSSL_cleanse(bytes, found);
    return session;
}

/* A session must not be resumed after a fatal alert (RFC 5246, section 7.2.2). libssl treats an end
 * without close_notify in the same way, which TLS no longer requires since 1.1 (section 7.2.1). */
static void forget(SSL_CTX *context, SSL_SESSION *session)
{
    const uint8_t *id = id_of(session);
    bool ended = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    if (id != NULL && !ended)
        session_cache_remove(sessions_of(context)->cache, id);
}

bool sessions_bind(SSL *ssl, int64_t until)
{
    uint8_t bytes[sizeof until];
    struct writer writer = writer_of(bytes, sizeof bytes);
    write_u64(&writer, (uint64_t)until);
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), bytes, sizeof bytes) == 1;
}

/* Whether what the session's client was verified by, if it had a certificate, is still valid. */
static bool is_bound_still(SSL_SESSION *session)
{
    void *bytes;
    size_t length;
    if (SSL_SESSION_get0_peer(session) == NULL)
        return true;
    if (SSL_SESSION_get0_ticket_appdata(session, &bytes, &length) != 1)
        return false;
    struct reader reader = reader_of(bytes, length);
    int64_t until = (int64_t)read_u64(&reader);
    return reader_done(&reader) && time(NULL) < until;
}

/* Called for each ticket that a client sends; without this libssl would do the same, except for
 * what depends on is_bound_still(). */
static SSL_TICKET_RETURN judge_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                      size_t name_length, SSL_TICKET_STATUS status, void *arg)
{
    (void)ssl, (void)name, (void)name_length, (void)arg;
    bool renew = status == SSL_TICKET_SUCCESS_RENEW;
    if ((status != SSL_TICKET_SUCCESS && !renew) || !is_bound_still(session))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return renew ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

bool sessions_use(struct sessions *sessions, SSL_CTX *context, unsigned tickets,
                  enum session_use use)
{
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if ((tickets > 0 || use == SESSIONS_ENTERED) && sessions->cache != NULL) {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL |
                                                    SSL_SESS_CACHE_NO_AUTO_CLEAR);
        SSL_CTX_sess_set_new_cb(context, store);
        SSL_CTX_sess_set_get_cb(context, fetch);
        SSL_CTX_sess_set_remove_cb(context, forget);
    }
    return SSL_CTX_set_generate_session_id(context, make_id) == 1 &&
           SSL_CTX_set_session_ticket_cb(context, NULL, judge_ticket, NULL) == 1 &&
           SSL_CTX_set_ex_data(context, sessions_index(), sessions) == 1 &&
           tickets_use(&sessions->tickets, context, tickets);
}

static bool hash_clients(struct sessions *sessions, const struct client_check *clients)
{
    const struct client_policy_config *config = clients->config;
    uint8_t asked[2] = {(uint8_t)config->wanted, (uint8_t)config->depth};
    return clients->authority == NULL ||
           (EVP_DigestUpdate(sessions->hash, asked, sizeof asked) == 1 &&
            EVP_DigestUpdate(sessions->hash, clients->authority->hash, AUTHORITY_HASH_SIZE) == 1);
}

bool sessions_route_scope(struct sessions *sessions, const char *frontend,
                          const struct route_config *route, const struct client_check *clients,
                          uint8_t scope[SESSION_SCOPE_SIZE])
{
    return EVP_DigestInit_ex2(sessions->hash, sessions->sha256, NULL) == 1 &&
           EVP_DigestUpdate(sessions->hash, frontend, strlen(frontend) + 1) == 1 &&
           EVP_DigestUpdate(sessions->hash, &route->own, sizeof route->own) == 1 &&
           EVP_DigestUpdate(sessions->hash, route->name, strlen(route->name) + 1) == 1 &&
           hash_clients(sessions, clients) && EVP_DigestFinal_ex(sessions->hash, scope, NULL) == 1;
}

/* A set of certificates is known by its names and key types, so that sessions stay valid when a
 * certificate is renewed. */
bool sessions_set_scope(struct sessions *sessions, SSL *ssl, const uint8_t *of,
                        const struct store *store,
                        const uint32_t certificates[CERTIFICATE_KIND_COUNT], const char *name)
{
    static const uint8_t none[STORE_HASH_SIZE];
    EVP_MD_CTX *hash = sessions->hash;
    uint8_t scope[SESSION_SCOPE_SIZE];
    bool good = EVP_DigestInit_ex2(hash, sessions->sha256, NULL) == 1 &&
                EVP_DigestUpdate(hash, of, SESSION_SCOPE_SIZE) == 1;
    for (size_t kind = 0; good && kind < CERTIFICATE_KIND_COUNT; kind++) {
        uint32_t number = certificates[kind];
        const uint8_t *names =
            number != STORE_NONE ? store_certificate(store, number)->names_hash : none;
        good = EVP_DigestUpdate(hash, names, sizeof none) == 1;
    }
    return good && (name == NULL || EVP_DigestUpdate(hash, name, strlen(name)) == 1) &&
           EVP_DigestFinal_ex(hash, scope, NULL) == 1 &&
           SSL_set_session_id_context(ssl, scope, sizeof scope) == 1;
}
