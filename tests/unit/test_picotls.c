/* The adapter for picotls; tested where PICOTLS_ROOT names one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/x509.h>
#include <picotls/openssl.h>

#include "adapter_scenarios.h"
#include "base/clock.h"
#include "immure/picotls.h"
#include "provider_fixture.h"

#define FLIGHTS_MAX 20

static const struct {
    size_t key;
    uint16_t scheme;
} combinations[] = {
    {P_256, IMMURE_ECDSA_SHA256}, {RSA_2048, IMMURE_RSA_PSS_RSAE_SHA256},
    {P_384, IMMURE_ECDSA_SHA384}, {P_521, IMMURE_ECDSA_SHA512},
    {ED_25519, IMMURE_ED25519},
};
enum { COMBINATIONS = sizeof combinations / sizeof combinations[0] };

struct picotls_pair {
    struct pair pair; /* first */
    ptls_t *server, *client;
    ptls_buffer_t to_server, to_client;
    bool server_done, client_done;
};

/* A server of one key, and its clients. */
static struct endpoint {
    ptls_context_t server, client;
    struct immure_picotls_signer signer;
    ptls_openssl_verify_certificate_t verifier;
    ptls_iovec_t chain;
} endpoints[COMBINATIONS];

static struct immure_client *client_of(struct immure_picotls_signer *signer, ptls_t *tls,
                                       uint64_t *deadline)
{
    (void)signer;
    const struct pair *pair = *ptls_get_data_ptr(tls);
    *deadline = pair->deadline;
    return pair->client;
}

static void told(struct immure_picotls_signer *signer, ptls_t *tls,
                 const struct immure_reply *reply)
{
    (void)signer;
    struct pair *pair = *ptls_get_data_ptr(tls);
    pair->error = reply->error;
    assert_non_null(reply->error_text);
}

static void endpoint_make(struct endpoint *endpoint, size_t key)
{
    static const ptls_context_t plain = {.random_bytes = ptls_openssl_random_bytes,
                                         .get_time = &ptls_get_time,
                                         .key_exchanges = ptls_openssl_key_exchanges,
                                         .cipher_suites = ptls_openssl_cipher_suites};
    uint8_t *der = NULL;
    endpoint->chain.len = (size_t)i2d_X509(certificates[key], &der);
    endpoint->chain.base = der;
    assert_true(immure_picotls_signer_init(&endpoint->signer, keys[key].id, keys[key].spki,
                                           keys[key].spki_length));
    endpoint->signer.client = client_of;
    endpoint->signer.told = told;
    memcpy(&endpoint->server, &plain, sizeof plain);
    endpoint->server.certificates.list = &endpoint->chain;
    endpoint->server.certificates.count = 1;
    endpoint->server.sign_certificate = &endpoint->signer.super;

    X509_STORE *trusted = X509_STORE_new();
    assert_int_equal(X509_STORE_add_cert(trusted, certificates[key]), 1);
    assert_int_equal(ptls_openssl_init_verify_certificate(&endpoint->verifier, trusted), 0);
    X509_STORE_free(trusted);
    memcpy(&endpoint->client, &plain, sizeof plain);
    endpoint->client.verify_certificate = &endpoint->verifier.super;
}

static int make_all(void **state)
{
    fixture_make(state);
    for (size_t i = 0; i < COMBINATIONS; i++)
        endpoint_make(&endpoints[i], combinations[i].key);
    return 0;
}

static int free_all(void **state)
{
    for (size_t i = 0; i < COMBINATIONS; i++) {
        ptls_openssl_dispose_verify_certificate(&endpoints[i].verifier);
        OPENSSL_free(endpoints[i].chain.base);
    }
    return fixture_free(state);
}

static struct picotls_pair *open_between(ptls_context_t *server, ptls_context_t *client,
                                         struct immure_client *immure, uint64_t deadline)
{
    struct picotls_pair *pair = calloc(1, sizeof *pair);
    pair->pair.client = immure;
    pair->pair.deadline = deadline;
    pair->server = ptls_new(server, 1);
    pair->client = ptls_new(client, 0);
    *ptls_get_data_ptr(pair->server) = pair;
    ptls_set_server_name(pair->client, "localhost", 0);
    ptls_buffer_init(&pair->to_server, (void *)"", 0);
    ptls_buffer_init(&pair->to_client, (void *)"", 0);
    assert_int_equal(ptls_handshake(pair->client, &pair->to_server, NULL, NULL, NULL),
                     PTLS_ERROR_IN_PROGRESS);
    return pair;
}

static struct pair *open_pair(size_t combination, struct immure_client *client, uint64_t deadline)
{
    struct endpoint *endpoint = &endpoints[combination];
    return &open_between(&endpoint->server, &endpoint->client, client, deadline)->pair;
}

static void close_pair(struct pair *base)
{
    struct picotls_pair *pair = (struct picotls_pair *)base;
    ptls_free(pair->server);
    ptls_free(pair->client);
    ptls_buffer_dispose(&pair->to_server);
    ptls_buffer_dispose(&pair->to_client);
    free(pair);
}

static void woken(void *arg)
{
    ((struct pair *)arg)->woken++;
}

/* One end takes what the other has said. */
static int step(ptls_t *tls, ptls_buffer_t *in, ptls_buffer_t *out)
{
    size_t length = in->off;
    int result = ptls_handshake(tls, out, length > 0 ? in->base : NULL, &length, NULL);
    in->off = 0;
    return result;
}

static enum progress run(struct pair *base)
{
    struct picotls_pair *pair = (struct picotls_pair *)base;
    for (int i = 0; i < FLIGHTS_MAX && !(pair->server_done && pair->client_done); i++) {
        int result = pair->server_done ? 0 : step(pair->server, &pair->to_server, &pair->to_client);
        pair->server_done = result == 0;
        if (result == PTLS_ERROR_ASYNC_OPERATION) {
            ptls_async_job_t *job = ptls_get_async_job(pair->server);
            assert_null(job->get_fd);
            job->set_completion_callback(job, woken, base);
            return PROGRESS_WAITS;
        }
        if (result != 0 && result != PTLS_ERROR_IN_PROGRESS)
            return PROGRESS_FAILED;
        if (pair->to_client.off == 0)
            continue;
        result = step(pair->client, &pair->to_client, &pair->to_server);
        pair->client_done = result == 0;
        if (result != 0 && result != PTLS_ERROR_IN_PROGRESS)
            return PROGRESS_FAILED;
    }
    return pair->server_done && pair->client_done ? PROGRESS_DONE : PROGRESS_FAILED;
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
                                .run = run,
                                .close = close_pair,
                                .sign = sign};

static struct immure_client *no_client(struct immure_picotls_signer *signer, ptls_t *tls,
                                       uint64_t *deadline)
{
    (void)signer;
    (void)tls;
    (void)deadline;
    return NULL;
}

static void test_no_client(void **state)
{
    (void)state;
    struct endpoint *endpoint = &endpoints[0];
    endpoint->signer.client = no_client;
    struct picotls_pair *pair = open_between(&endpoint->server, &endpoint->client, NULL, 0);
    assert_int_equal(run(&pair->pair), PROGRESS_FAILED);
    close_pair(&pair->pair);
    endpoint->signer.client = client_of;
}

static void free_when_told(struct immure_picotls_signer *signer, ptls_t *tls,
                           const struct immure_reply *reply)
{
    (void)signer;
    (void)reply;
    struct picotls_pair *pair = *ptls_get_data_ptr(tls);
    ptls_free(pair->server);
    pair->server = ptls_new(&endpoints[0].server, 1); /* for close_pair() */
}

static void test_freed_when_told(void **state)
{
    (void)state;
    struct endpoint *endpoint = &endpoints[0];
    struct immure_client *client = immure_client_new(NULL);
    struct peer peer;
    peer_init(&peer, 100);
    endpoint->signer.told = free_when_told;
    struct picotls_pair *pair = open_between(&endpoint->server, &endpoint->client, client, 0);
    assert_int_equal(run(&pair->pair), PROGRESS_WAITS);
    peer_take(&peer, client, SIZE_MAX, clock_now());
    sign(&peer, &peer.requests[0]);
    assert_int_equal(peer_give(&peer, client, SIZE_MAX), IMMURE_OK);
    assert_int_equal(pair->pair.woken, 0);
    endpoint->signer.told = told;
    close_pair(&pair->pair);
    peer_release(&peer);
    immure_client_free(client);
}

/* The answer is there before the server asks to be told. */
static void test_completed_before_the_callback(void **state)
{
    (void)state;
    struct immure_client *client = immure_client_new(NULL);
    struct picotls_pair *pair = open_between(&endpoints[0].server, &endpoints[0].client, client, 0);
    assert_int_equal(step(pair->server, &pair->to_server, &pair->to_client),
                     PTLS_ERROR_ASYNC_OPERATION);
    struct peer peer;
    peer_init(&peer, 100);
    peer_take(&peer, client, SIZE_MAX, clock_now());
    sign(&peer, &peer.requests[0]);
    assert_int_equal(peer_give(&peer, client, SIZE_MAX), IMMURE_OK);
    ptls_async_job_t *job = ptls_get_async_job(pair->server);
    job->set_completion_callback(job, woken, pair);
    assert_int_equal(pair->pair.woken, 1);
    assert_int_equal(run(&pair->pair), PROGRESS_DONE);
    close_pair(&pair->pair);
    peer_release(&peer);
    immure_client_free(client);
}

static void test_a_key_of_no_known_type(void **state)
{
    (void)state;
    static const uint8_t dsa[] = {0x30, 0x0d, 0x30, 0x0b, 0x06, 0x07, 0x2a, 0x86,
                                  0x48, 0xce, 0x38, 0x04, 0x01, 0x03, 0x00};
    static const uint8_t id[IMMURE_KEY_ID_SIZE] = {0};
    struct immure_picotls_signer signer;
    assert_false(immure_picotls_signer_init(&signer, id, dsa, sizeof dsa));
    for (size_t length = 0; length < 24; length++) /* cut off within the algorithm */
        assert_false(
            immure_picotls_signer_init(&signer, id, keys[P_256].spki, length < 23 ? length : 0));
    assert_true(immure_picotls_signer_init(&signer, id, keys[P_256].spki, keys[P_256].spki_length));
}

int main(int argc, char **argv)
{
    if (argc > 1) /* the name of one test */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        SCENARIOS,
        cmocka_unit_test(test_no_client),
        cmocka_unit_test(test_freed_when_told),
        cmocka_unit_test(test_completed_before_the_callback),
        cmocka_unit_test(test_a_key_of_no_known_type),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
