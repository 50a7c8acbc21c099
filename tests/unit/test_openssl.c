/* The adapter for OpenSSL in event loops: immure/openssl.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/async.h>
#include <openssl/err.h>

#include "ssl_pair.h"
#include "tls_contexts.h"

static const struct combination combinations[] = {
    {P_256, TLS1_3_VERSION, "ECDSA+SHA256", IMMURE_ECDSA_SHA256},
    {P_256, TLS1_2_VERSION, "ECDSA+SHA256", IMMURE_ECDSA_SHA256},
    {RSA_2048, TLS1_3_VERSION, "rsa_pss_rsae_sha256", IMMURE_RSA_PSS_RSAE_SHA256},
    {RSA_2048, TLS1_2_VERSION, "RSA+SHA512", IMMURE_RSA_PKCS1_SHA512},
    {P_384, TLS1_3_VERSION, "ECDSA+SHA384", IMMURE_ECDSA_SHA384},
    {P_521, TLS1_2_VERSION, "ECDSA+SHA512", IMMURE_ECDSA_SHA512},
    {ED_25519, TLS1_3_VERSION, "ed25519", IMMURE_ED25519},
};
enum { COMBINATIONS = sizeof combinations / sizeof combinations[0] };

static SSL_CTX *servers[COMBINATIONS], *clients[COMBINATIONS];

struct openssl_pair {
    struct ssl_pair ssl; /* first */
    struct immure_waiter waiter;
};

static int make_all(void **state)
{
    fixture_make(state);
    for (size_t i = 0; i < COMBINATIONS; i++) {
        servers[i] = make_server(combinations[i].key, SSL_MODE_ASYNC);
        clients[i] =
            make_client(combinations[i].key, combinations[i].version, combinations[i].algorithms);
    }
    return 0;
}

static int free_all(void **state)
{
    for (size_t i = 0; i < COMBINATIONS; i++) {
        SSL_CTX_free(servers[i]);
        SSL_CTX_free(clients[i]);
    }
    return fixture_free(state);
}

static void woken(struct immure_waiter *waiter)
{
    struct openssl_pair *pair =
        (struct openssl_pair *)((char *)waiter - offsetof(struct openssl_pair, waiter));
    pair->ssl.pair.woken++;
    pair->ssl.pair.error = waiter->error;
}

static struct pair *open_pair(size_t combination, struct immure_client *client, uint64_t deadline)
{
    struct openssl_pair *pair = calloc(1, sizeof *pair);
    pair->waiter = (struct immure_waiter){.client = client, .wake = woken, .deadline = deadline};
    ssl_pair_open(&pair->ssl, servers[combination], clients[combination]);
    return &pair->ssl.pair;
}

enum progress ssl_pair_step_server(struct ssl_pair *pair, bool *done)
{
    ERR_clear_error();
    immure_waiter_enter(&((struct openssl_pair *)pair)->waiter);
    int result = SSL_do_handshake(pair->server);
    immure_waiter_leave();
    int error = SSL_get_error(pair->server, result);
    *done = result == 1;
    if (error == SSL_ERROR_WANT_ASYNC)
        return PROGRESS_WAITS;
    return error == SSL_ERROR_NONE || error == SSL_ERROR_WANT_READ ? PROGRESS_DONE
                                                                   : PROGRESS_FAILED;
}

static void close_pair(struct pair *pair)
{
    struct openssl_pair *openssl = (struct openssl_pair *)pair;
    immure_openssl_free(openssl->ssl.server, &openssl->waiter);
    assert_null(openssl->waiter.operation);
    SSL_free(openssl->ssl.client);
    free(pair);
}

static uint16_t scheme_of(size_t combination)
{
    return combinations[combination].scheme;
}

static void sign(struct peer *peer, const struct peer_request *request)
{
    fake_sign(peer, request, keys, KEY_COUNT);
}

const struct adapter adapter = {.combinations = COMBINATIONS,
                                .scheme = scheme_of,
                                .open = open_pair,
                                .run = ssl_pair_run,
                                .close = close_pair,
                                .sign = sign};

int main(int argc, char **argv)
{
    if (argc > 1) /* the name of one test */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {SCENARIOS};
    return cmocka_run_group_tests(tests, make_all, free_all);
}
