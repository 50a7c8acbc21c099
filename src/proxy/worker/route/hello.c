#include "proxy/worker/route/hello.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "proxy/config/network.h"
#include "proxy/store/problem.h"
#include "proxy/store/wildcard.h"
#include "proxy/worker/route/server_name.h"

#define ADDRESS_NAME_SIZE (sizeof STORE_ADDRESS_PREFIX + INET6_ADDRSTRLEN)

struct hello *hello_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

/* ---- conditions ---- */

static bool lists(const uint8_t *list, size_t list_length, const uint8_t *name, size_t length)
{
    struct reader reader = reader_of(list, list_length);
    bool found = false;
    while (!found && reader.left > 0) {
        size_t size = read_u8(&reader);
        const uint8_t *bytes = read_bytes(&reader, size);
        found = !reader.failed && size == length && memcmp(bytes, name, length) == 0;
        reader.left = reader.failed ? 0 : reader.left;
    }
    return found;
}

/* Whether the client offers one of the protocols (RFC 7301, section 3.1). */
static bool offers(SSL *ssl, const uint8_t *wanted, size_t wanted_length)
{
    const unsigned char *bytes;
    size_t size;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &bytes,
                                  &size) != 1 ||
        size < sizeof(uint16_t))
        return false;
    struct reader reader = reader_of(wanted, wanted_length);
    bool found = false;
    while (!found && reader.left > 0) {
        size_t length = read_u8(&reader);
        const uint8_t *name = read_bytes(&reader, length);
        found = lists(bytes + sizeof(uint16_t), size - sizeof(uint16_t), name, length);
    }
    return found;
}

static bool is_within(const struct route_conditions *conditions,
                      const struct sockaddr_storage *source)
{
    for (size_t i = 0; i < conditions->network_count; i++)
        if (network_has(&conditions->networks[i], source))
            return true;
    return false;
}

static bool conditions_hold(const struct hello *hello, SSL *ssl, const struct tls_route *route)
{
    const struct route_conditions *conditions = &route->config->conditions;
    return (conditions->alpn_length == 0 ||
            offers(ssl, conditions->alpn, conditions->alpn_length)) &&
           (conditions->network_count == 0 || is_within(conditions, &hello->addresses->source));
}

/* ---- the route ---- */

static const struct tls_route *route_of(const struct hello *hello,
                                        const struct store_choice *choice)
{
    return &hello->frontend->tls->routes[choice->route];
}

/* The first route with exactly this name whose conditions hold; NULL: there is none. */
static const struct store_choice *find(const struct hello *hello, SSL *ssl, const char *name,
                                       bool own)
{
    const struct tls_frontend *frontend = hello->frontend;
    const struct store_choice *choices;
    size_t count = store_find(hello->certificates->store, frontend->number, name, &choices);
    for (size_t i = 0; i < count; i++) {
        const struct tls_route *route = route_of(hello, &choices[i]);
        if (route->config->own == own && conditions_hold(hello, ssl, route))
            return &choices[i];
    }
    return NULL;
}

static const struct store_choice *find_name(const struct hello *hello, SSL *ssl, const char *name)
{
    char wildcard[STORE_NAME_MAX + 1];
    bool has_wildcard = store_wildcard_for(name, wildcard);
    const struct store_choice *choice = NULL;
    for (int own = 0; choice == NULL && own <= 1; own++) {
        choice = find(hello, ssl, name, own);
        if (choice == NULL && has_wildcard)
            choice = find(hello, ssl, wildcard, own);
    }
    return choice;
}

/* By the address that the client came to; NULL: no certificate has it. The frontend's own route
 * comes first, because such clients are its own. */
static const struct store_choice *find_address(const struct hello *hello, SSL *ssl)
{
    struct sockaddr_storage *to = &hello->addresses->destination;
    char name[ADDRESS_NAME_SIZE] = STORE_ADDRESS_PREFIX;
    size_t length = strlen(name);
    if (to->ss_family == AF_UNSPEC)
        hello->transport->kind->local_address(hello->transport, to);
    struct sockaddr_storage plain = address_unmapped(to);
    const void *address = plain.ss_family == AF_INET
                              ? (const void *)&((struct sockaddr_in *)&plain)->sin_addr
                              : (const void *)&((struct sockaddr_in6 *)&plain)->sin6_addr;
    if ((plain.ss_family != AF_INET && plain.ss_family != AF_INET6) ||
        inet_ntop(plain.ss_family, address, name + length, (socklen_t)(sizeof name - length)) ==
            NULL)
        return NULL;
    const struct store_choice *choice = find(hello, ssl, name, true);
    return choice != NULL ? choice : find(hello, ssl, name, false);
}

/* The choice of clients whose name no certificate has. NULL: the frontend serves none of them. */
static const struct store_choice *find_standard(const struct hello *hello)
{
    const struct tls_route *own = &hello->frontend->routes[0];
    const struct store_choice *standard =
        store_route_default(hello->certificates->store, own->nothing.route);
    if (own->config->backend == NO_BACKEND || (standard == NULL && !own->config->passthrough))
        return NULL;
    return standard != NULL ? standard : &own->nothing;
}

/* NULL: the client is refused. */
static const struct store_choice *find_route(struct hello *hello, SSL *ssl, const char *name)
{
    const struct frontend_config *config = hello->frontend->config;
    const struct store_choice *choice =
        name != NULL ? find_name(hello, ssl, name) : find_address(hello, ssl);
    hello->known = name != NULL && choice != NULL;
    if (choice != NULL)
        return choice;
    return name != NULL && config->unknown_name_reject ? NULL : find_standard(hello);
}

static bool use_route(const struct hello *hello, SSL *ssl, const char *name)
{
    const struct tls_route *route = route_of(hello, hello->choice);
    struct tls *tls = hello->frontend->tls;
    return SSL_set_SSL_CTX(ssl, route->policy->context) != NULL &&
           (route->policy == hello->frontend->routes[0].policy || policy_use(route->policy, ssl)) &&
           sessions_set_scope(&tls->sessions, ssl, route->scope, hello->certificates->store,
                              hello->choice->certificates, name);
}

static void hold_certificates(struct hello *hello)
{
    if (hello->certificates != NULL)
        return;
    hello->certificates = hello->frontend->tls->certificates;
    hello->certificates->uses++;
}

void hello_release(struct hello *hello)
{
    if (hello->certificates == NULL)
        return;
    hello->certificates->uses--;
    hello->certificates = NULL;
    hello->choice = NULL;
}

static int answer(SSL *ssl, int *alert, void *arg)
{
    (void)arg;
    struct hello *hello = hello_of(ssl);
    hold_certificates(hello);
    const char *name = server_name_take(ssl);
    const struct store_choice *before = hello->choice;
    hello->choice = find_route(hello, ssl, name);
    *alert = hello->choice == NULL ? SSL_AD_UNRECOGNIZED_NAME
             : before != NULL      ? SSL_AD_ILLEGAL_PARAMETER
                                   : SSL_AD_INTERNAL_ERROR;
    /* A second ClientHello must not ask for anything else (RFC 8446, section 4.1.2). */
    if (hello->choice == NULL || (before != NULL && before != hello->choice))
        return SSL_CLIENT_HELLO_ERROR;
    hello->passed = route_of(hello, hello->choice)->config->passthrough;
    if (hello->passed)
        return SSL_CLIENT_HELLO_RETRY; /* the owner takes the stream from libssl */
    return use_route(hello, ssl, name) ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
}

/* Tells the client whether a route has its name. */
static int acknowledge_name(SSL *ssl, int *alert, void *arg)
{
    (void)alert, (void)arg;
    return hello_of(ssl)->known ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* One whose key immured does not hold is left out. A client that can use no other gets the alert
 * handshake_failure. */
static bool give_certificates(struct hello *hello, SSL *ssl)
{
    struct certificate_cache *cache = &hello->certificates->cache;
    const atomic_bool *keyless = hello->certificates->shared->keyless;
    for (size_t kind = 0; kind < CERTIFICATE_KIND_COUNT; kind++) {
        uint32_t number = hello->choice->certificates[kind];
        if (number == STORE_NONE || keyless[number])
            continue;
        const struct certificate *certificate = certificate_cache_take(cache, number);
        if (certificate == NULL || SSL_use_cert_and_key(ssl, certificate->leaf, certificate->key,
                                                        certificate->chain, 1) != 1)
            return false;
        hello->leaves[kind] = certificate->leaf;
    }
    return true;
}

/* libssl asks for certificates only if the handshake needs one: not when a session is resumed. So
 * this is where it is known that a signature is needed, and no key has been exchanged yet. If the
 * answer is -1, libssl pauses (SSL_ERROR_WANT_X509_LOOKUP) and asks again. */
static int use_certificates(SSL *ssl, void *arg)
{
    (void)arg;
    struct hello *hello = hello_of(ssl);
    if (!hello->held && !give_certificates(hello, ssl))
        return 0;
    hello->held = hello->hold_signature != NULL && hello->hold_signature(hello);
    return hello->held ? -1 : 1;
}

/* For a client that asks for an OCSP response (RFC 6066, section 8; RFC 8446, section 4.4.2.1). */
static int staple(SSL *ssl, void *arg)
{
    (void)arg;
    const struct hello *hello = hello_of(ssl);
    const struct store *store = hello->certificates->store;
    const X509 *chosen = SSL_get_certificate(ssl);
    for (size_t kind = 0; chosen != NULL && kind < CERTIFICATE_KIND_COUNT; kind++) {
        if (hello->leaves[kind] != chosen)
            continue;
        const struct store_certificate *certificate =
            store_certificate(store, hello->choice->certificates[kind]);
        struct store_span response = certificate->staple;
        uint8_t *copy = store_staples(certificate, time(NULL))
                            ? OPENSSL_memdup(store_bytes(store, response), response.length)
                            : NULL;
        if (copy != NULL && SSL_set_tlsext_status_ocsp_resp(ssl, copy, response.length) == 1)
            return SSL_TLSEXT_ERR_OK;
        OPENSSL_free(copy);
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/* libssl blames us, and not the client. */
static void note_alert(const SSL *ssl, int where, int alert)
{
    if (where == SSL_CB_WRITE_ALERT && (alert & 0xff) == SSL_AD_INTERNAL_ERROR)
        hello_of(ssl)->internal_error = true;
}

void hello_prepare(SSL_CTX *context)
{
    SSL_CTX_set_info_callback(context, note_alert);
    SSL_CTX_set_client_hello_cb(context, answer, NULL);
    SSL_CTX_set_tlsext_servername_callback(context, acknowledge_name);
    SSL_CTX_set_cert_cb(context, use_certificates, NULL);
    SSL_CTX_set_tlsext_status_cb(context, staple);
}

SSL *hello_accept(struct hello *hello)
{
    SSL *ssl = SSL_new(hello->frontend->entry);
    if (ssl != NULL && SSL_set_app_data(ssl, hello) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    if (ssl != NULL)
        SSL_set_accept_state(ssl);
    return ssl;
}
