#include "storm/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

bool target_init(struct target *target, const struct storm_options *options)
{
    *target = (struct target){.options = options};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int error = getaddrinfo(options->host, options->port, &hints, &found);
    if (error != 0) {
        snprintf(target->error, sizeof target->error, "%s:%s: %s", options->host, options->port,
                 gai_strerror(error));
        return false;
    }
    memcpy(&target->address, found->ai_addr, found->ai_addrlen);
    target->length = found->ai_addrlen;
    freeaddrinfo(found);

    const struct sockaddr_in *in = (const void *)&target->address;
    target->loopback = in->sin_family == AF_INET && ntohl(in->sin_addr.s_addr) >> 24 == 127;

    struct in6_addr unused;
    bool numeric = inet_pton(AF_INET, options->host, &unused) == 1 ||
                   inet_pton(AF_INET6, options->host, &unused) == 1;
    if (options->names)
        return names_load(&target->names, options->names, target->error, sizeof target->error);
    target->server_name = options->server_name ? options->server_name
                          : numeric            ? NULL
                                               : options->host;
    return true;
}

void target_release(struct target *target)
{
    names_free(&target->names);
}

static int accept_any(X509_STORE_CTX *store, void *arg)
{
    (void)store;
    (void)arg;
    return 1;
}

static bool set_alpn(SSL_CTX *context, const char *name)
{
    uint8_t list[256] = {(uint8_t)strlen(name)};
    memcpy(list + 1, name, list[0]);
    return SSL_CTX_set_alpn_protos(context, list, list[0] + 1u) == 0;
}

/* The name of the option that OpenSSL rejects, or NULL. */
static const char *set_parameters(SSL_CTX *context, const struct storm_options *options)
{
    if (!SSL_CTX_set_min_proto_version(context, options->tls_min) ||
        !SSL_CTX_set_max_proto_version(context, options->tls_max))
        return "tls";
    if (!SSL_CTX_set1_groups_list(context, options->groups))
        return "groups";
    if (options->sigalgs && !SSL_CTX_set1_sigalgs_list(context, options->sigalgs))
        return "sigalgs";
    if (options->ciphersuites && !SSL_CTX_set_ciphersuites(context, options->ciphersuites))
        return "ciphersuites";
    if (options->ciphers && !SSL_CTX_set_cipher_list(context, options->ciphers))
        return "ciphers";
    if (options->alpn && !set_alpn(context, options->alpn))
        return "alpn";
    if (options->verify && !SSL_CTX_load_verify_file(context, options->verify))
        return "verify";
    return NULL;
}

bool target_prepare(struct target *target, SSL_CTX *context)
{
    const struct storm_options *options = target->options;
    if (context == NULL) {
        snprintf(target->error, sizeof target->error, "out of memory");
        return false;
    }
    const char *refused = set_parameters(context, options);
    if (refused) {
        snprintf(target->error, sizeof target->error, "--%s: OpenSSL refuses it: %s", refused,
                 ERR_reason_error_string(ERR_peek_last_error()));
        ERR_clear_error();
        return false;
    }
    /* Without verification OpenSSL would still build the chain, which makes each handshake more
     * expensive. */
    if (options->verify)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    else
        SSL_CTX_set_cert_verify_callback(context, accept_any, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_read_ahead(context, 1); /* one read per flight instead of two per record */
    return true;
}

/* Uses 127.1.0.1 to 127.250.255.250 in turn, because each address has its own range of ports; or
 * only the first of them (0: all). */
static bool bind_source(int socket, uint64_t number, unsigned sources)
{
    struct sockaddr_in source = {.sin_family = AF_INET};
    if (sources > 0)
        number %= sources;
    uint32_t host = (uint32_t)(1 + number % 250), middle = (uint32_t)(number / 250 % 256);
    uint32_t high = (uint32_t)(1 + number / (UINT64_C(250) * 256) % 250);
    source.sin_addr.s_addr = htonl(127u << 24 | high << 16 | middle << 8 | host);
    return setsockopt(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int)) == 0 &&
           bind(socket, (const void *)&source, sizeof source) == 0;
}

int target_connect(const struct target *target, uint64_t number, enum failure *failure)
{
    int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd != -1 && (!target->loopback || bind_source(fd, number, target->options->sources))) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (connect(fd, (const void *)&target->address, target->length) == 0 ||
            errno == EINPROGRESS)
            return fd;
    }
    *failure = failure_of_errno(errno);
    if (fd != -1)
        close(fd);
    return -1;
}

SSL *target_tls(const struct target *target, SSL_CTX *context, uint64_t number, int socket)
{
    SSL *ssl = SSL_new(context);
    if (ssl == NULL)
        return NULL;
    const char *name =
        target->names.count > 0 ? names_at(&target->names, number) : target->server_name;
    bool verify_name = target->options->verify && name;
    if (!SSL_set_fd(ssl, socket) || (name && !SSL_set_tlsext_host_name(ssl, name)) ||
        (verify_name && !SSL_set1_host(ssl, name))) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_connect_state(ssl);
    return ssl;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION **kept = SSL_get_app_data(ssl);
    SSL_SESSION_free(*kept);
    *kept = session;
    return 1;
}

/* Does a handshake, then reads until a ticket arrives or `deadline` passes. */
static bool wait_for_session(SSL *ssl, int fd, uint64_t deadline, SSL_SESSION **session,
                             enum failure *failure)
{
    for (;;) {
        char unused[256];
        int result = SSL_is_init_finished(ssl) ? SSL_read(ssl, unused, sizeof unused)
                                               : SSL_do_handshake(ssl);
        if (*session && SSL_is_init_finished(ssl))
            return true;
        int kind = SSL_get_error(ssl, result);
        if (result <= 0 && kind != SSL_ERROR_WANT_READ && kind != SSL_ERROR_WANT_WRITE) {
            *failure = failure_of_ssl(ssl, result);
            return false;
        }
        struct pollfd wanted = {.fd = fd,
                                .events = kind == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN};
        if (result <= 0 && poll(&wanted, 1, clock_poll_timeout(deadline, clock_now())) == 0) {
            *failure = FAILURE_HANDSHAKE_TIMEOUT;
            return false;
        }
    }
}

SSL_SESSION *target_session(struct target *target, SSL_CTX *context)
{
    SSL_SESSION *session = NULL;
    enum failure failure = FAILURE_SYSTEM;
    int fd = target_connect(target, 0, &failure);
    SSL *ssl = fd == -1 ? NULL : target_tls(target, context, 0, fd);
    if (ssl) {
        SSL_set_app_data(ssl, &session);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, keep_session);
        uint64_t deadline = clock_now() + target->options->handshake_timeout;
        bool got = wait_for_session(ssl, fd, deadline, &session, &failure);
        if (got)
            SSL_shutdown(ssl);
        SSL_CTX_sess_set_new_cb(context, NULL);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    }
    SSL_free(ssl);
    if (fd != -1)
        close(fd);
    if (session == NULL)
        snprintf(target->error, sizeof target->error, "--resume: no session from the server: %s",
                 failure_name(failure));
    return session;
}

void target_describe(SSL *ssl, char *text, size_t size)
{
    const char *group = SSL_group_to_name(ssl, (int)SSL_get_negotiated_group(ssl));
    EVP_PKEY *key = X509_get0_pubkey(SSL_get0_peer_certificate(ssl));
    const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
    snprintf(text, size, "%s, %s, %s, %s-%d", SSL_get_version(ssl),
             SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)), group ? group : "no group",
             type ? type : "no certificate", key ? EVP_PKEY_get_bits(key) : 0);
}
