/* Parsed certificates: each is what the store has, few are kept, and issuers are shared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "immure/openssl.h"
#include "provider/certificate.h"
#include "proxy/store/builder.h"
#include "proxy/worker/route/certificate_cache.h"

#define CERTIFICATES 6
#define ROOM 3
#define LAST (CERTIFICATES - 1) /* the leaf of this one is no certificate */

struct fixture {
    OSSL_LIB_CTX *library, *reader;
    struct store *store;
    struct certificate_cache cache;
};

/* Returns the length of the DER; the caller frees it. */
static int make_der(EVP_PKEY *key, long serial, uint8_t **der)
{
    X509 *made = X509_new();
    assert_non_null(made);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(made), serial), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), 0);
    X509_gmtime_adj(X509_getm_notAfter(made), 1000);
    assert_int_equal(X509_set_pubkey(made, key), 1);
    assert_true(X509_sign(made, key, EVP_sha256()) > 0);
    *der = NULL;
    int length = i2d_X509(made, der);
    assert_true(length > 0);
    X509_free(made);
    return length;
}

static struct store *make_store(void)
{
    struct conf_error error;
    uint8_t *leaf, *issuer;
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    struct store_builder *builder = store_builder_new();
    int issuer_length = make_der(pair, 1000, &issuer);
    for (long i = 0; i < CERTIFICATES; i++) {
        int length = make_der(pair, i + 1, &leaf);
        uint32_t number = store_builder_chain_certificate(builder, issuer, (size_t)issuer_length);
        struct store_certificate certificate = {
            .leaf = store_builder_bytes(builder, leaf, (size_t)length - (i == LAST ? 9 : 0)),
            .chain = store_builder_chain(builder, &number, 1),
            .chain_count = 1,
            .kind = CERTIFICATE_EC};
        store_builder_add(builder, &certificate);
        OPENSSL_free(leaf);
    }
    OPENSSL_free(issuer);
    EVP_PKEY_free(pair);
    int memory = store_builder_seal(builder, 1);
    struct store *store = store_open(memory, &error);
    close(memory);
    return store;
}

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture.library = immure_openssl_context();
    fixture.reader = certificate_context();
    fixture.store = make_store();
    *state = &fixture;
    return fixture.library == NULL || fixture.reader == NULL || fixture.store == NULL ||
           !certificate_cache_open(&fixture.cache, fixture.store, fixture.library, fixture.reader,
                                   ROOM);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    certificate_cache_close(&fixture->cache);
    store_close(fixture->store);
    immure_openssl_context_free(fixture->reader);
    immure_openssl_context_free(fixture->library);
    return 0;
}

static long serial_of(const struct certificate *certificate)
{
    assert_non_null(certificate);
    return ASN1_INTEGER_get(X509_get0_serialNumber(certificate->leaf));
}

static size_t kept(const struct certificate_cache *cache)
{
    size_t count = 0;
    for (size_t i = 0; i < CERTIFICATES; i++)
        count += cache->places[i] != 0;
    return count;
}

static void each_is_what_the_store_has(void **state)
{
    struct fixture *fixture = *state;
    for (int round = 0; round < 3; round++)
        for (uint32_t i = 0; i < LAST; i++) {
            const struct certificate *taken = certificate_cache_take(&fixture->cache, i);
            assert_int_equal(serial_of(taken), i + 1);
            assert_int_equal(sk_X509_num(taken->chain), 1);
            assert_ptr_equal(taken->key, X509_get0_pubkey(taken->leaf));
            assert_int_equal(X509_check_purpose(taken->leaf, -1, 0), 1);
            assert_int_equal(ERR_peek_error(), 0); /* else libssl takes a pause for a failure */
        }
    assert_int_equal(kept(&fixture->cache), ROOM);
}

static void what_is_asked_for_stays(void **state)
{
    struct fixture *fixture = *state;
    const X509 *first = certificate_cache_take(&fixture->cache, 0)->leaf;
    for (uint32_t i = 1; i < LAST; i++) {
        assert_int_equal(serial_of(certificate_cache_take(&fixture->cache, i)), i + 1);
        assert_ptr_equal(certificate_cache_take(&fixture->cache, 0)->leaf, first);
    }
}

static void issuers_are_shared_and_freed(void **state)
{
    struct fixture *fixture = *state;
    struct certificate_cache *cache = &fixture->cache;
    const struct certificate *first = certificate_cache_take(cache, 0);
    const X509 *issuer = sk_X509_value(first->chain, 0);
    assert_ptr_equal(sk_X509_value(certificate_cache_take(cache, 1)->chain, 0), issuer);
    for (uint32_t i = 0; i < LAST; i++)
        certificate_cache_take(cache, i);
    assert_int_equal(cache->issuers[0].uses, ROOM);
}

/* It fails each time, and takes no place. */
static void one_that_cannot_be_parsed(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 2 * ROOM; i++)
        assert_null(certificate_cache_take(&fixture->cache, LAST));
    assert_int_equal(kept(&fixture->cache), 0);
    assert_int_equal(serial_of(certificate_cache_take(&fixture->cache, 0)), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_is_what_the_store_has),
        TEST(what_is_asked_for_stays),
        TEST(issuers_are_shared_and_freed),
        TEST(one_that_cannot_be_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
