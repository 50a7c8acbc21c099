/* The handshake provider in whole TLS handshakes, in memory, many at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <stdio.h>

#include "handshake/fast_handshake.h"

#define MANY 21 /* two full batches and a rest */

static int open_thread(void **state)
{
    (void)state;
    return ASYNC_init_thread(0, 0) == 1 ? 0 : -1;
}

static int close_thread(void **state)
{
    (void)state;
    ASYNC_cleanup_thread();
    return 0;
}

/* A server with some parts of fast-handshake, and clients without. */
struct setting {
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *standard;
    struct fast_handshake *fast;
    SSL_CTX *server, *client;
    bool pauses; /* derivations with X25519 pause */
};

static void use_new_certificate(struct setting *setting)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(setting->context, NULL, "EC", "P-256");
    X509 *certificate = X509_new_ex(setting->context, NULL);
    assert_non_null(key);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_int_equal(SSL_CTX_use_cert_and_key(setting->server, certificate, key, NULL, 1), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void setting_open(struct setting *setting, unsigned parts)
{
    setting->context = OSSL_LIB_CTX_new();
    setting->standard = OSSL_PROVIDER_load(setting->context, "default");
    setting->fast = fast_handshake_open(setting->context, parts);
    assert_non_null(setting->fast);
    setting->pauses = (fast_handshake_parts(setting->fast) & FAST_DERIVATION) != 0;
    setting->server = SSL_CTX_new_ex(setting->context, FAST_HANDSHAKE_WANTED, TLS_server_method());
    setting->client =
        SSL_CTX_new_ex(setting->context, FAST_HANDSHAKE_UNWANTED, TLS_client_method());
    SSL_CTX_set_mode(setting->server, SSL_MODE_ASYNC);
    assert_int_equal(SSL_CTX_set1_groups_list(setting->client, "X25519:P-256"), 1); /* no hybrid */
    use_new_certificate(setting);
}

static void setting_close(struct setting *setting)
{
    SSL_CTX_free(setting->server);
    SSL_CTX_free(setting->client);
    fast_handshake_close(setting->fast);
    OSSL_PROVIDER_unload(setting->standard);
    OSSL_LIB_CTX_free(setting->context);
}

/* Both ends of one connection; what each has written lies in a BIO until the other reads. */
struct pair {
    struct derivation_waiter waiter; /* first: wake() gets it */
    SSL *server, *client;
    int woken, paused;
    int error; /* of the server's last step */
};

static void woken(struct derivation_waiter *waiter)
{
    ((struct pair *)waiter)->woken++;
}

static void pair_open(struct pair *pair, const struct setting *setting)
{
    *pair = (struct pair){.waiter = {.wake = woken}};
    pair->server = SSL_new(setting->server);
    pair->client = SSL_new(setting->client);
    BIO *to_server = BIO_new(BIO_s_mem()), *to_client = BIO_new(BIO_s_mem());
    BIO_up_ref(to_server);
    BIO_up_ref(to_client);
    SSL_set_bio(pair->server, to_server, to_client);
    SSL_set_bio(pair->client, to_client, to_server);
    SSL_set_accept_state(pair->server);
    SSL_set_connect_state(pair->client);
}

static void pair_close(struct pair *pair)
{
    SSL_free(pair->server);
    SSL_free(pair->client);
    ERR_clear_error();
}

static void server_step(struct pair *pair, struct fast_handshake *fast)
{
    ERR_clear_error();
    fast_handshake_enter(fast, &pair->waiter);
    int result = SSL_do_handshake(pair->server);
    fast_handshake_leave(fast);
    pair->error = SSL_get_error(pair->server, result);
    pair->paused += pair->error == SSL_ERROR_WANT_ASYNC;
}

static void client_step(struct pair *pair)
{
    ERR_clear_error();
    SSL_do_handshake(pair->client);
}

static bool done(const struct pair *pair)
{
    return SSL_is_init_finished(pair->server) && SSL_is_init_finished(pair->client);
}

/* A turn of a loop that serves all of them. */
static void turn(struct pair *pairs, size_t count, struct fast_handshake *fast)
{
    for (size_t i = 0; i < count; i++)
        client_step(&pairs[i]);
    for (size_t i = 0; i < count; i++)
        server_step(&pairs[i], fast);
    fast_handshake_run(fast);
}

static void exchange_bytes(struct pair *pair)
{
    char text[8];
    assert_int_equal(SSL_write(pair->server, "hello", 5), 5);
    assert_int_equal(SSL_read(pair->client, text, sizeof text), 5);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(SSL_write(pair->client, "back", 4), 4);
    assert_int_equal(SSL_read(pair->server, text, sizeof text), 4);
    assert_memory_equal(text, "back", 4);
}

static void handshake_many(const struct setting *setting, size_t count, int pauses)
{
    struct pair pairs[MANY];
    for (size_t i = 0; i < count; i++)
        pair_open(&pairs[i], setting);
    for (int i = 0; i < 6; i++)
        turn(pairs, count, setting->fast);
    for (size_t i = 0; i < count; i++) {
        assert_true(done(&pairs[i]));
        assert_int_equal(pairs[i].paused, pauses);
        assert_int_equal(pairs[i].woken, pauses);
        exchange_bytes(&pairs[i]);
        pair_close(&pairs[i]);
    }
}

static void test_batches(void **state)
{
    (void)state;
    struct setting setting;
    setting_open(&setting, FAST_ALL);
    for (size_t count = 1; count <= MANY; count += count < 9 ? 1 : 4)
        handshake_many(&setting, count, setting.pauses);
    setting_close(&setting);
}

static void test_each_part_alone(void **state)
{
    (void)state;
    static const unsigned parts[] = {0, FAST_KEY_SCHEDULE, FAST_KEY_PAIRS, FAST_DERIVATION,
                                     FAST_KEY_SCHEDULE | FAST_KEY_PAIRS};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct setting setting;
        setting_open(&setting, parts[i]);
        handshake_many(&setting, 3, setting.pauses);
        setting_close(&setting);
    }
}

/* Groups, suites and versions; `pauses` on the server's side where derivation is in force. */
static const struct kind {
    const char *client_groups, *server_groups, *suites;
    int version;
    bool pauses;
} kinds[] = {
    {"X25519", NULL, "TLS_AES_128_GCM_SHA256", TLS1_3_VERSION, true},
    {"X25519", NULL, "TLS_AES_256_GCM_SHA384", TLS1_3_VERSION, true},
    {"X25519", NULL, "TLS_CHACHA20_POLY1305_SHA256", TLS1_3_VERSION, true},
    {"P-256:X25519", "P-256", NULL, TLS1_3_VERSION, false},
    {"P-384", NULL, "TLS_AES_256_GCM_SHA384", TLS1_3_VERSION, false},
    {"X448", NULL, NULL, TLS1_3_VERSION, false},
    {"P-256:X25519", "X25519", NULL, TLS1_3_VERSION, true}, /* HelloRetryRequest, to X25519 */
    {"X25519:P-384", "P-384", NULL, TLS1_3_VERSION, false}, /* and from it */
    {"X25519:P-256", NULL, NULL, TLS1_2_VERSION, true},
    {"P-256", NULL, NULL, TLS1_2_VERSION, false},
};

static void test_groups_suites_versions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct kind *kind = &kinds[i];
        struct setting setting;
        setting_open(&setting, FAST_ALL);
        assert_int_equal(SSL_CTX_set1_groups_list(setting.client, kind->client_groups), 1);
        if (kind->server_groups != NULL)
            assert_int_equal(SSL_CTX_set1_groups_list(setting.server, kind->server_groups), 1);
        if (kind->suites != NULL)
            assert_int_equal(SSL_CTX_set_ciphersuites(setting.client, kind->suites), 1);
        assert_int_equal(SSL_CTX_set_max_proto_version(setting.client, kind->version), 1);
        handshake_many(&setting, 3, kind->pauses && setting.pauses);
        setting_close(&setting);
    }
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION **place = SSL_get_app_data(ssl);
    SSL_SESSION_free(*place);
    *place = session;
    return 1;
}

static void test_resumption(void **state)
{
    (void)state;
    struct setting setting;
    SSL_SESSION *session = NULL;
    setting_open(&setting, FAST_ALL);
    SSL_CTX_set_session_cache_mode(setting.client, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(setting.client, keep_session);
    for (int i = 0; i < 2; i++) {
        struct pair pair;
        pair_open(&pair, &setting);
        SSL_set_app_data(pair.client, &session);
        if (session != NULL)
            assert_int_equal(SSL_set_session(pair.client, session), 1);
        for (int j = 0; j < 6; j++)
            turn(&pair, 1, setting.fast);
        assert_true(done(&pair));
        exchange_bytes(&pair);
        assert_int_equal(SSL_session_reused(pair.server), i);
        SSL_shutdown(pair.client);
        SSL_shutdown(pair.server);
        pair_close(&pair);
        assert_non_null(session);
    }
    SSL_SESSION_free(session);
    setting_close(&setting);
}

/* A connection ends before its secret is derived: it leaves the batch, and the others are not
 * affected. */
static void test_closed_while_waiting(void **state)
{
    (void)state;
    struct setting setting;
    struct pair pairs[MANY];
    setting_open(&setting, FAST_ALL);
    if (!setting.pauses) {
        setting_close(&setting);
        skip();
    }
    for (size_t i = 0; i < MANY; i++) {
        pair_open(&pairs[i], &setting);
        client_step(&pairs[i]);
        server_step(&pairs[i], setting.fast);
        assert_int_equal(pairs[i].error, SSL_ERROR_WANT_ASYNC);
    }
    server_step(&pairs[1], setting.fast); /* a spurious resume */
    assert_int_equal(pairs[1].error, SSL_ERROR_WANT_ASYNC);
    for (size_t i = 0; i < MANY; i += 3) {
        fast_handshake_cancel(&pairs[i].waiter);
        server_step(&pairs[i], setting.fast);
        assert_int_equal(pairs[i].error, SSL_ERROR_SSL);
        assert_null(pairs[i].waiter.waits_for);
        fast_handshake_cancel(&pairs[i].waiter); /* harmless */
        pair_close(&pairs[i]);
    }
    fast_handshake_run(setting.fast);
    for (int j = 0; j < 5; j++)
        for (size_t i = 0; i < MANY; i++)
            if (i % 3 != 0) {
                server_step(&pairs[i], setting.fast);
                client_step(&pairs[i]);
            }
    for (size_t i = 0; i < MANY; i++)
        if (i % 3 != 0) {
            assert_true(done(&pairs[i]));
            pair_close(&pairs[i]);
        }
    setting_close(&setting);
}

/* Closed after the derivation but before the resume. */
static void test_closed_when_woken(void **state)
{
    (void)state;
    struct setting setting;
    struct pair pair;
    setting_open(&setting, FAST_ALL);
    if (!setting.pauses) {
        setting_close(&setting);
        skip();
    }
    pair_open(&pair, &setting);
    turn(&pair, 1, setting.fast);
    assert_int_equal(pair.woken, 1);
    assert_non_null(pair.waiter.waits_for);
    fast_handshake_cancel(&pair.waiter);
    server_step(&pair, setting.fast);
    assert_int_equal(pair.error, SSL_ERROR_SSL);
    pair_close(&pair);
    setting_close(&setting);
}

/* Overwrites the key share of a ClientHello on its way. */
static void forge_share(struct pair *pair, const uint8_t share[32])
{
    static const uint8_t head[] = {0x00, 0x1d, 0x00, 0x20};
    uint8_t hello[4096];
    int length = BIO_read(SSL_get_rbio(pair->server), hello, sizeof hello);
    uint8_t *at = memmem(hello, (size_t)length, head, sizeof head);
    assert_non_null(at);
    memcpy(at + sizeof head, share, 32);
    assert_int_equal(BIO_write(SSL_get_rbio(pair->server), hello, length), length);
}

/* Key shares that lead to an all-zero secret, or that the lanes refuse, affect only the client that
 * sends them. */
static void test_forged_shares(void **state)
{
    (void)state;
    static const uint8_t zero[32];
    uint8_t ones[32];
    struct setting setting;
    struct pair pairs[MANY];
    memset(ones, 0xff, sizeof ones);
    setting_open(&setting, FAST_ALL);
    assert_int_equal(SSL_CTX_set1_groups_list(setting.client, "X25519"), 1);
    for (size_t i = 0; i < MANY; i++) {
        pair_open(&pairs[i], &setting);
        client_step(&pairs[i]);
        if (i % 3 == 1)
            forge_share(&pairs[i], i % 2 == 0 ? zero : ones);
    }
    for (int j = 0; j < 6; j++)
        turn(pairs, MANY, setting.fast);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(done(&pairs[i]), i % 3 != 1);
        if (i % 3 != 1)
            exchange_bytes(&pairs[i]);
        pair_close(&pairs[i]);
    }
    setting_close(&setting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_each_part_alone),
        cmocka_unit_test(test_groups_suites_versions),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_closed_while_waiting),
        cmocka_unit_test(test_closed_when_woken),
        cmocka_unit_test(test_forged_shares),
    };
    return cmocka_run_group_tests(tests, open_thread, close_thread);
}
