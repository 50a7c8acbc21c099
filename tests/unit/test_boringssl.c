/* The adapter for BoringSSL; tested with Debian's android-libboringssl-dev. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "immure/boringssl.h"
#include "ssl_pair.h"

enum key { RSA_2048, P_256, P_384, P_521, ED_25519, KEY_COUNT };

static struct {
    EVP_PKEY *private;
    X509 *certificate;
    uint8_t id[IMMURE_KEY_ID_SIZE];
} keys[KEY_COUNT];

static const struct {
    enum key key;
    uint16_t version, scheme;
} combinations[] = {
    {P_256, TLS1_3_VERSION, IMMURE_ECDSA_SHA256},
    {P_256, TLS1_2_VERSION, IMMURE_ECDSA_SHA256},
    {RSA_2048, TLS1_3_VERSION, IMMURE_RSA_PSS_RSAE_SHA256},
    {RSA_2048, TLS1_3_VERSION, IMMURE_RSA_PSS_RSAE_SHA384},
    {RSA_2048, TLS1_3_VERSION, IMMURE_RSA_PSS_RSAE_SHA512},
    {RSA_2048, TLS1_2_VERSION, IMMURE_RSA_PSS_RSAE_SHA256},
    {RSA_2048, TLS1_2_VERSION, IMMURE_RSA_PKCS1_SHA256},
    {RSA_2048, TLS1_2_VERSION, IMMURE_RSA_PKCS1_SHA384},
    {RSA_2048, TLS1_2_VERSION, IMMURE_RSA_PKCS1_SHA512},
    {P_384, TLS1_3_VERSION, IMMURE_ECDSA_SHA384},
    {P_384, TLS1_2_VERSION, IMMURE_ECDSA_SHA384},
    {P_521, TLS1_3_VERSION, IMMURE_ECDSA_SHA512},
    {P_521, TLS1_2_VERSION, IMMURE_ECDSA_SHA512},
    {ED_25519, TLS1_3_VERSION, IMMURE_ED25519},
    {ED_25519, TLS1_2_VERSION, IMMURE_ED25519},
};
enum { COMBINATIONS = sizeof combinations / sizeof combinations[0] };

static SSL_CTX *servers[KEY_COUNT], *clients[COMBINATIONS];

struct boring_pair {
    struct ssl_pair ssl; /* first */
    struct immure_boringssl_waiter waiter;
};

static EVP_PKEY *make_key(enum key which)
{
    static const int curves[KEY_COUNT] = {
        [P_256] = NID_X9_62_prime256v1, [P_384] = NID_secp384r1, [P_521] = NID_secp521r1};
    int type = which == RSA_2048   ? EVP_PKEY_RSA
               : which == ED_25519 ? EVP_PKEY_ED25519
                                   : EVP_PKEY_EC;
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *generator = EVP_PKEY_CTX_new_id(type, NULL);
    assert_int_equal(EVP_PKEY_keygen_init(generator), 1);
    if (type == EVP_PKEY_RSA)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(generator, 2048), 1);
    if (type == EVP_PKEY_EC)
        assert_int_equal(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(generator, curves[which]), 1);
    assert_int_equal(EVP_PKEY_keygen(generator, &key), 1);
    EVP_PKEY_CTX_free(generator);
    return key;
}

static SSL_CTX *make_server(enum key key)
{
    SSL_CTX *server = SSL_CTX_new(TLS_method());
    assert_int_equal(SSL_CTX_use_certificate(server, keys[key].certificate), 1);
    assert_true(immure_boringssl_attach(server));
    return server;
}

static SSL_CTX *make_client(enum key key, uint16_t version, uint16_t scheme)
{
    SSL_CTX *client = SSL_CTX_new(TLS_method());
    assert_int_equal(SSL_CTX_set_min_proto_version(client, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(client, version), 1);
    assert_int_equal(SSL_CTX_set_verify_algorithm_prefs(client, &scheme, 1), 1);
    /* TLS 1.2: the curve of a certificate must be among them. */
    assert_int_equal(SSL_CTX_set1_curves_list(client, "X25519:P-256:P-384:P-521"), 1);
    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(client), keys[key].certificate), 1);
    SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
    return client;
}

static int make_all(void **state)
{
    (void)state;
    for (enum key i = 0; i < KEY_COUNT; i++) {
        uint8_t *spki = NULL;
        keys[i].private = make_key(i);
        keys[i].certificate =
            ssl_pair_certificate(keys[i].private, i == ED_25519 ? NULL : EVP_sha256());
        int length = i2d_PUBKEY(keys[i].private, &spki);
        SHA256(spki, (size_t)length, keys[i].id);
        OPENSSL_free(spki);
        servers[i] = make_server(i);
    }
    for (size_t i = 0; i < COMBINATIONS; i++)
        clients[i] =
            make_client(combinations[i].key, combinations[i].version, combinations[i].scheme);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < COMBINATIONS; i++)
        SSL_CTX_free(clients[i]);
    for (enum key i = 0; i < KEY_COUNT; i++) {
        SSL_CTX_free(servers[i]);
        X509_free(keys[i].certificate);
        EVP_PKEY_free(keys[i].private);
    }
    return 0;
}

static void woken(struct immure_boringssl_waiter *waiter)
{
    struct boring_pair *pair =
        (struct boring_pair *)((char *)waiter - offsetof(struct boring_pair, waiter));
    pair->ssl.pair.woken++;
    pair->ssl.pair.error = waiter->error;
}

static struct boring_pair *open_between(SSL_CTX *server, SSL_CTX *client,
                                        struct immure_client *immure, uint64_t deadline)
{
    struct boring_pair *pair = calloc(1, sizeof *pair);
    pair->waiter =
        (struct immure_boringssl_waiter){.client = immure, .wake = woken, .deadline = deadline};
    ssl_pair_open(&pair->ssl, server, client);
    assert_true(immure_boringssl_wait_with(pair->ssl.server, &pair->waiter));
    return pair;
}

static struct pair *open_pair(size_t combination, struct immure_client *client, uint64_t deadline)
{
    SSL_CTX *server = servers[combinations[combination].key];
    return &open_between(server, clients[combination], client, deadline)->ssl.pair;
}

static void close_pair(struct pair *pair)
{
    ssl_pair_close((struct ssl_pair *)pair);
    assert_null(((struct boring_pair *)pair)->waiter.operation);
    free(pair);
}

enum progress ssl_pair_step_server(struct ssl_pair *pair, bool *done)
{
    ERR_clear_error();
    int result = SSL_do_handshake(pair->server);
    int error = SSL_get_error(pair->server, result);
    *done = result == 1;
    if (error == SSL_ERROR_WANT_PRIVATE_KEY_OPERATION)
        return PROGRESS_WAITS;
    return error == SSL_ERROR_NONE || error == SSL_ERROR_WANT_READ ? PROGRESS_DONE
                                                                   : PROGRESS_FAILED;
}

static uint16_t scheme_of(size_t combination)
{
    return combinations[combination].scheme;
}

static void sign(struct peer *peer, const struct peer_request *request)
{
    size_t i = 0;
    while (i < KEY_COUNT && memcmp(keys[i].id, request->key_id, sizeof keys[i].id) != 0)
        i++;
    assert_true(i < KEY_COUNT);
    uint8_t signature[IMMURE_SIGNATURE_MAX];
    size_t length = sizeof signature;
    EVP_MD_CTX context;
    EVP_PKEY_CTX *parameters;
    EVP_MD_CTX_init(&context);
    assert_int_equal(EVP_DigestSignInit(&context, &parameters,
                                        SSL_get_signature_algorithm_digest(request->scheme), NULL,
                                        keys[i].private),
                     1);
    if (SSL_is_signature_algorithm_rsa_pss(request->scheme)) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, -1), 1);
    }
    assert_int_equal(
        EVP_DigestSign(&context, signature, &length, request->message, request->message_length), 1);
    EVP_MD_CTX_cleanup(&context);
    peer_say_signed(peer, request->id, signature, length);
}

const struct adapter adapter = {.combinations = COMBINATIONS,
                                .scheme = scheme_of,
                                .open = open_pair,
                                .run = ssl_pair_run,
                                .close = close_pair,
                                .sign = sign};

/* The oldest error of a library's user; those of libssl that come of it are newer. */
static void assert_reason(const char *text)
{
    const char *data;
    int flags;
    uint32_t error = ERR_peek_error_line_data(NULL, NULL, &data, &flags);
    assert_int_equal(ERR_GET_LIB(error), ERR_LIB_USER);
    assert_string_equal(data, text);
    ERR_clear_error();
}

static void test_rsa_key_exchange_is_refused(void **state)
{
    (void)state;
    struct immure_client *client = immure_client_new(NULL);
    SSL_CTX *browser = make_client(RSA_2048, TLS1_2_VERSION, IMMURE_RSA_PKCS1_SHA256);
    assert_int_equal(SSL_CTX_set_cipher_list(browser, "kRSA"), 1);
    struct boring_pair *pair = open_between(servers[RSA_2048], browser, client, 0);
    assert_int_equal(ssl_pair_run(&pair->ssl.pair), PROGRESS_FAILED);
    assert_reason("immure: RSA key exchange is not to be had with BoringSSL");
    assert_int_equal(immure_client_pending(client), 0);
    close_pair(&pair->ssl.pair);
    SSL_CTX_free(browser);
    immure_client_free(client);
}

static void test_what_cannot_be_attached(void **state)
{
    (void)state;
    SSL_CTX *bare = SSL_CTX_new(TLS_method());
    assert_false(immure_boringssl_attach(bare));
    assert_reason("immure: the context has no certificate");
    SSL_CTX_free(bare);
    assert_false(immure_boringssl_attach(servers[P_256]));
    assert_reason("immure: the context is attached already");
}

static void test_without_a_waiter(void **state)
{
    (void)state;
    struct ssl_pair pair = {.server = NULL};
    ssl_pair_open(&pair, servers[P_256], clients[0]);
    assert_int_equal(ssl_pair_run(&pair.pair), PROGRESS_FAILED);
    assert_reason("immure: the SSL has no waiter");
    ssl_pair_close(&pair);
}

static int choose_other(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    return SSL_set_SSL_CTX(ssl, arg) != NULL ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* As servers do whose clients name them. */
static void test_another_context_is_chosen(void **state)
{
    (void)state;
    struct immure_client *client = immure_client_new(NULL);
    struct peer peer;
    peer_init(&peer, 100);
    SSL_CTX *first = make_server(P_384);
    SSL_CTX_set_tlsext_servername_callback(first, choose_other);
    SSL_CTX_set_tlsext_servername_arg(first, servers[P_256]);
    struct boring_pair *pair = open_between(first, clients[0], client, 0);
    assert_int_equal(SSL_set_tlsext_host_name(pair->ssl.client, "localhost"), 1);
    assert_int_equal(ssl_pair_run(&pair->ssl.pair), PROGRESS_WAITS);
    peer_take(&peer, client, SIZE_MAX, clock_now());
    assert_memory_equal(peer.requests[0].key_id, keys[P_256].id, IMMURE_KEY_ID_SIZE);
    sign(&peer, &peer.requests[0]);
    assert_int_equal(peer_give(&peer, client, SIZE_MAX), IMMURE_OK);
    assert_int_equal(ssl_pair_run(&pair->ssl.pair), PROGRESS_DONE);
    assert_string_equal(pair->waiter.backend, "test");
    close_pair(&pair->ssl.pair);
    SSL_CTX_free(first);
    peer_release(&peer);
    immure_client_free(client);
}

int main(int argc, char **argv)
{
    if (argc > 1) /* the name of one test */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        SCENARIOS,
        cmocka_unit_test(test_rsa_key_exchange_is_refused),
        cmocka_unit_test(test_what_cannot_be_attached),
        cmocka_unit_test(test_without_a_waiter),
        cmocka_unit_test(test_another_context_is_chosen),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
