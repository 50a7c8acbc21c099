/* Keys by name: immure:NAME through OSSL_STORE. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/store.h>
#include <poll.h>

#include "fake_immured.h"
#include "provider_fixture.h"

/* `expected` is OSSL_STORE_INFO_..., or 0. Sets *type to the type of the result. */
static EVP_PKEY *load_expected(const char *name, const char *socket, int expected, int *type)
{
    char uri[256];
    snprintf(uri, sizeof uri, "immure:%s?socket=%s", name, socket);
    OSSL_STORE_CTX *store =
        OSSL_STORE_open_ex(uri, context, IMMURE_OPENSSL_PROPERTIES, NULL, NULL, NULL, NULL, NULL);
    EVP_PKEY *key = NULL;
    assert_non_null(store);
    if (expected != 0)
        assert_int_equal(OSSL_STORE_expect(store, expected), 1);
    assert_int_equal(OSSL_STORE_eof(store), 0);
    OSSL_STORE_INFO *found = OSSL_STORE_load(store);
    if (found != NULL) {
        *type = OSSL_STORE_INFO_get_type(found);
        key = *type == OSSL_STORE_INFO_PUBKEY ? OSSL_STORE_INFO_get1_PUBKEY(found)
                                              : OSSL_STORE_INFO_get1_PKEY(found);
    }
    OSSL_STORE_INFO_free(found);
    assert_int_equal(OSSL_STORE_eof(store), 1);
    assert_int_equal(OSSL_STORE_close(store), 1);
    return key;
}

static EVP_PKEY *load(const char *name, const char *socket)
{
    int type;
    return load_expected(name, socket, 0, &type);
}

static void test_every_key_by_its_name(void **state)
{
    (void)state;
    struct fake_immured immured;
    fake_immured_begin(&immured, keys, KEY_COUNT);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        EVP_PKEY *key = load(keys[i].label, immured.path);
        assert_non_null(key);
        assert_true(signs_well(context, key, &keys[i]));
        EVP_PKEY_free(key);
    }
    fake_immured_end(&immured);
}

static void test_what_is_expected(void **state)
{
    (void)state;
    struct fake_immured immured;
    fake_immured_begin(&immured, keys, KEY_COUNT);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        int type = 0;
        EVP_PKEY *key = load_expected(keys[i].label, immured.path, OSSL_STORE_INFO_PUBKEY, &type);
        assert_non_null(key);
        assert_int_equal(type, OSSL_STORE_INFO_PUBKEY);
        assert_int_equal(EVP_PKEY_eq(key, keys[i].private), 1);
        assert_false(signs_well(context, key, &keys[i])); /* there is no private half */
        ERR_clear_error();
        EVP_PKEY_free(key);
        key = load_expected(keys[i].label, immured.path, OSSL_STORE_INFO_PKEY, &type);
        assert_non_null(key);
        assert_int_equal(type, OSSL_STORE_INFO_PKEY);
        assert_true(signs_well(context, key, &keys[i]));
        EVP_PKEY_free(key);
    }
    assert_int_equal(ERR_peek_error(), 0);
    fake_immured_end(&immured);
}

/* A key of an unknown type, from a fake immured. */
static void test_key_of_another_type(void **state)
{
    (void)state;
    struct fake_key other;
    fake_key_make(&other, "other", "X25519", NULL, 0);
    struct fake_immured immured;
    fake_immured_begin(&immured, &other, 1);
    assert_null(load("other", immured.path));
    assert_true(error_queue_has("not a public key of this type"));
    fake_immured_end(&immured);
    fake_key_release(&other);
}

static size_t open_descriptors(void)
{
    size_t count = 0;
    for (int i = 0; i < 1000; i++)
        count += fcntl(i, F_GETFD) >= 0;
    return count;
}

/* Servers load their keys first, and fork afterwards. */
static void test_no_connection_is_left_over(void **state)
{
    (void)state;
    struct fake_immured immured;
    fake_immured_begin(&immured, keys, KEY_COUNT);
    size_t before = open_descriptors();
    EVP_PKEY *key = load(keys[P_256].label, immured.path);
    assert_non_null(key);
    for (int i = 0; i < 500 && open_descriptors() > before; i++)
        poll(NULL, 0, 10); /* until the other end is closed, too */
    assert_int_equal(open_descriptors(), before);
    EVP_PKEY_free(key);
    fake_immured_end(&immured);
}

static void test_not_found(void **state)
{
    (void)state;
    struct fake_key twins[2] = {keys[P_256], keys[P_384]};
    twins[1].label = twins[0].label;
    struct fake_immured immured;
    fake_immured_begin(&immured, twins, 2);
    assert_null(load("another", immured.path));
    assert_true(error_queue_has("not found; expected is immure:NAME or immure:NAME?socket=PATH"));
    assert_null(load(twins[0].label, immured.path));
    assert_true(error_queue_has("not found; expected is immure:NAME or immure:NAME?socket=PATH"));
    fake_immured_end(&immured);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key_by_its_name),
        cmocka_unit_test(test_what_is_expected),
        cmocka_unit_test(test_key_of_another_type),
        cmocka_unit_test(test_no_connection_is_left_over),
        cmocka_unit_test(test_not_found),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_free);
}
