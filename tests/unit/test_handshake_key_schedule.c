/* TLS13-KDF of the handshake provider: the vectors of RFC 8448, and comparisons with the default
 * provider on random inputs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

#include "handshake/fast_handshake.h"

#define SIZE 32
#define BYTES_MAX 1200
#define PARAMS_MAX 8
#define ROUNDS 2000

static OSSL_LIB_CTX *context;
static OSSL_PROVIDER *standard;
static struct fast_handshake *fast;
static EVP_KDF *ours, *theirs;

static int open_context(void **state)
{
    (void)state;
    context = OSSL_LIB_CTX_new();
    standard = OSSL_PROVIDER_load(context, "default");
    fast = fast_handshake_open(context, FAST_KEY_SCHEDULE);
    assert_non_null(fast);
    assert_int_equal(fast_handshake_parts(fast), FAST_KEY_SCHEDULE);
    ours = EVP_KDF_fetch(context, "TLS13-KDF", FAST_HANDSHAKE_WANTED);
    theirs = EVP_KDF_fetch(context, "TLS13-KDF", FAST_HANDSHAKE_UNWANTED);
    assert_non_null(ours);
    assert_non_null(theirs);
    assert_ptr_not_equal(EVP_KDF_get0_provider(ours), EVP_KDF_get0_provider(theirs));
    return 0;
}

static int close_context(void **state)
{
    (void)state;
    EVP_KDF_free(ours);
    EVP_KDF_free(theirs);
    fast_handshake_close(fast);
    OSSL_PROVIDER_unload(standard);
    OSSL_LIB_CTX_free(context);
    return 0;
}

/* The parameters of a derivation; bytes NULL: not set. */
struct input {
    int mode;
    const char *mode_name; /* in place of the number */
    const char *digest;
    struct {
        const uint8_t *bytes;
        size_t length;
    } key, salt, prefix, label, data;
};

static size_t make_params(const struct input *input, OSSL_PARAM params[PARAMS_MAX])
{
    size_t count = 0;
    params[count++] =
        input->mode_name != NULL
            ? OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, (char *)input->mode_name, 0)
            : OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, (int *)&input->mode);
    params[count++] =
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)input->digest, 0);
#define ADD(name, field)                                                                           \
    if (input->field.bytes != NULL)                                                                \
    params[count++] =                                                                              \
        OSSL_PARAM_construct_octet_string(name, (void *)input->field.bytes, input->field.length)
    ADD(OSSL_KDF_PARAM_KEY, key);
    ADD(OSSL_KDF_PARAM_SALT, salt);
    ADD(OSSL_KDF_PARAM_PREFIX, prefix);
    ADD(OSSL_KDF_PARAM_LABEL, label);
    ADD(OSSL_KDF_PARAM_DATA, data);
    params[count] = OSSL_PARAM_construct_end();
    return count;
}

static bool derive(EVP_KDF *kdf, const struct input *input, uint8_t *out, size_t length)
{
    OSSL_PARAM params[PARAMS_MAX];
    make_params(input, params);
    EVP_KDF_CTX *derivation = EVP_KDF_CTX_new(kdf);
    bool good = EVP_KDF_derive(derivation, out, length, params) > 0;
    EVP_KDF_CTX_free(derivation);
    ERR_clear_error();
    return good;
}

static void from_hex(const char *text, uint8_t *bytes, size_t length)
{
    size_t got;
    assert_int_equal(OPENSSL_hexstr2buf_ex(bytes, length, &got, text, '\0'), 1);
    assert_int_equal(got, length);
}

#define TEXT(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static void expect_extract(const uint8_t *salt, const uint8_t *key, const char *expected)
{
    uint8_t out[SIZE], wanted[SIZE];
    struct input input = {.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY,
                          .digest = "SHA256",
                          .key = {key, SIZE},
                          .salt = {salt, SIZE},
                          .prefix = TEXT("tls13 "),
                          .label = TEXT("derived")};
    assert_true(derive(ours, &input, out, sizeof out));
    from_hex(expected, wanted, sizeof wanted);
    assert_memory_equal(out, wanted, sizeof out);
}

static void expect_expand(const char *secret, const char *label, const char *hash,
                          const char *expected, size_t length)
{
    uint8_t key[SIZE], data[SIZE], out[SIZE], wanted[SIZE];
    from_hex(secret, key, sizeof key);
    if (hash != NULL)
        from_hex(hash, data, sizeof data);
    struct input input = {.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
                          .digest = "SHA256",
                          .key = {key, sizeof key},
                          .prefix = TEXT("tls13 "),
                          .label = {(const uint8_t *)label, strlen(label)},
                          .data = {hash != NULL ? data : NULL, sizeof data}};
    assert_true(derive(ours, &input, out, length));
    from_hex(expected, wanted, length);
    assert_memory_equal(out, wanted, length);
}

#define EARLY "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a"
#define HANDSHAKE "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac"
#define MASTER "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919"
#define HELLOS "860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8"
#define SERVER_TRAFFIC "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38"
#define NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define FINISHED "9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13"

/* Section 3. */
static void test_rfc8448(void **state)
{
    (void)state;
    uint8_t early[SIZE], handshake[SIZE], shared[SIZE];
    from_hex(EARLY, early, sizeof early);
    from_hex(HANDSHAKE, handshake, sizeof handshake);
    from_hex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d", shared,
             sizeof shared);
    expect_extract(NULL, NULL, EARLY);
    expect_extract(early, shared, HANDSHAKE);
    expect_extract(handshake, NULL, MASTER);
    expect_expand(EARLY, "derived", NOTHING,
                  "6f2615a108c702c5678f54fc9dbab69716c076189c48250cebeac3576c3611ba", SIZE);
    expect_expand(HANDSHAKE, "derived", NOTHING,
                  "43de77e0c77713859a944db9db2590b53190a65b3ee2e4f12dd7a0bb7ce254b4", SIZE);
    expect_expand(HANDSHAKE, "c hs traffic", HELLOS,
                  "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21", SIZE);
    expect_expand(HANDSHAKE, "s hs traffic", HELLOS, SERVER_TRAFFIC, SIZE);
    expect_expand(SERVER_TRAFFIC, "key", NULL, "3fce516009c21727d0f2e4e86ee403bc", 16);
    expect_expand(SERVER_TRAFFIC, "iv", NULL, "5d313eb2671276ee13000b30", 12);
    expect_expand(MASTER, "c ap traffic", FINISHED,
                  "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5", SIZE);
    expect_expand(MASTER, "s ap traffic", FINISHED,
                  "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643", SIZE);
    expect_expand(MASTER, "exp master", FINISHED,
                  "fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50", SIZE);
}

/* ---- against `default` ---- */

static unsigned random_below(unsigned end)
{
    unsigned number;
    assert_int_equal(RAND_bytes((uint8_t *)&number, sizeof number), 1);
    return number % end;
}

static uint8_t pool[BYTES_MAX];

/* Lengths around the relevant ones: none, a digest, a block, more than a block. */
static size_t random_length(void)
{
    static const size_t lengths[] = {1, 6, 12, 32, 48, 64, 65, 128, 129, 255};
    return random_below(3) == 0 ? 1 + random_below(BYTES_MAX / 2)
                                : lengths[random_below(sizeof lengths / sizeof *lengths)];
}

#define RANDOM_FIELD(field, length_)                                                               \
    input.field.length = (length_);                                                                \
    input.field.bytes = random_below(5) == 0 ? NULL : pool + random_below(BYTES_MAX / 2)

static struct input random_input(void)
{
    static const char *const digests[] = {"SHA256", "SHA2-256", "SHA-384", "SHA2-384"};
    static const char *const labels[] = {"derived", "c hs traffic", "finished"};
    struct input input = {.digest = digests[random_below(4)]};
    input.mode =
        random_below(2) == 0 ? EVP_KDF_HKDF_MODE_EXTRACT_ONLY : EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    if (random_below(2) == 0)
        input.mode_name =
            input.mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY ? "EXTRACT_ONLY" : "EXPAND_ONLY";
    RANDOM_FIELD(key, random_length());
    RANDOM_FIELD(salt, random_length());
    RANDOM_FIELD(prefix, random_below(7));
    RANDOM_FIELD(label, random_below(60));
    RANDOM_FIELD(data, random_below(65));
    if (random_below(2) == 0) {
        const char *label = labels[random_below(3)];
        input.prefix.bytes = (const uint8_t *)"tls13 ";
        input.prefix.length = 6;
        input.label.bytes = (const uint8_t *)label;
        input.label.length = strlen(label);
    }
    return input;
}

static void test_random_inputs(void **state)
{
    (void)state;
    unsigned good = 0;
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t out[BYTES_MAX], expected[BYTES_MAX];
        assert_int_equal(RAND_bytes(pool, sizeof pool), 1);
        struct input input = random_input();
        size_t digest = strstr(input.digest, "384") != NULL ? 48 : 32;
        size_t length = input.mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY ? digest : random_length();
        bool can = derive(theirs, &input, expected, length);
        assert_int_equal(derive(ours, &input, out, length), can);
        if (can)
            assert_memory_equal(out, expected, length);
        good += can;
    }
    assert_true(good > ROUNDS / 2);
}

/* With a pre-shared key the early secret is not the constant one. */
static void test_chain_with_psk(void **state)
{
    (void)state;
    static const char *const digests[] = {"SHA256", "SHA384"};
    for (size_t i = 0; i < 2; i++) {
        size_t size = i == 0 ? 32 : 48;
        for (int psk = 0; psk < 2; psk++) {
            uint8_t mine[48] = {0}, other[48] = {0}, in[48];
            const uint8_t *salt = NULL;
            assert_int_equal(RAND_bytes(in, sizeof in), 1);
            for (int step = 0; step < 3; step++) {
                uint8_t before[48];
                memcpy(before, mine, sizeof before);
                struct input input = {.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY,
                                      .digest = digests[i],
                                      .key = {step == 1 || (step == 0 && psk) ? in : NULL, size},
                                      .salt = {salt != NULL ? before : NULL, size},
                                      .prefix = TEXT("tls13 "),
                                      .label = TEXT("derived")};
                assert_true(derive(ours, &input, mine, size));
                assert_true(derive(theirs, &input, other, size));
                assert_memory_equal(mine, other, size);
                salt = mine;
            }
        }
    }
}

/* ---- as a context is used ---- */

static void test_set_params_dup_reset(void **state)
{
    (void)state;
    uint8_t key[SIZE] = {1, 2, 3}, once[SIZE], again[SIZE], plain[SIZE];
    struct input input = {.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
                          .digest = "SHA2-256",
                          .key = {key, sizeof key},
                          .prefix = TEXT("tls13 "),
                          .label = TEXT("key")};
    OSSL_PARAM params[PARAMS_MAX];
    make_params(&input, params);
    EVP_KDF_CTX *first = EVP_KDF_CTX_new(ours);
    assert_true(EVP_KDF_derive(first, once, sizeof once, NULL) <= 0); /* no digest yet */
    assert_int_equal(EVP_KDF_CTX_set_params(first, params), 1);
    assert_int_equal(EVP_KDF_derive(first, once, sizeof once, NULL), 1);
    EVP_KDF_CTX *second = EVP_KDF_CTX_dup(first);
    assert_non_null(second);
    key[0] = 9; /* it has its own copy */
    EVP_KDF_CTX_reset(first);
    assert_true(EVP_KDF_derive(first, again, sizeof again, NULL) <= 0);
    assert_int_equal(EVP_KDF_derive(second, again, sizeof again, NULL), 1);
    assert_memory_equal(once, again, sizeof once);
    key[0] = 1;
    assert_true(derive(theirs, &input, plain, sizeof plain));
    assert_memory_equal(once, plain, sizeof once);
    EVP_KDF_CTX_free(first);
    EVP_KDF_CTX_free(second);
}

static void test_sizes(void **state)
{
    (void)state;
    struct input input = {.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY, .digest = "SHA384"};
    OSSL_PARAM params[PARAMS_MAX];
    EVP_KDF_CTX *derivation = EVP_KDF_CTX_new(ours);
    make_params(&input, params);
    assert_int_equal(EVP_KDF_CTX_set_params(derivation, params), 1);
    assert_int_equal(EVP_KDF_CTX_get_kdf_size(derivation), 48);
    input.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    assert_int_equal(EVP_KDF_CTX_set_params(derivation, params), 1);
    assert_true(EVP_KDF_CTX_get_kdf_size(derivation) == SIZE_MAX);
    EVP_KDF_CTX_free(derivation);
}

static void test_refusals(void **state)
{
    (void)state;
    uint8_t out[BYTES_MAX * 8], key[SIZE] = {1};
    const struct input good = {.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
                               .digest = "SHA256",
                               .key = {key, sizeof key},
                               .prefix = TEXT("tls13 "),
                               .label = TEXT("key")};
    assert_true(derive(ours, &good, out, 255 * 32));
    assert_false(derive(ours, &good, out, 255 * 32 + 1));
    assert_false(derive(ours, &good, out, 0));
    struct input bad = good;
    bad.digest = "MD5";
    assert_false(derive(ours, &bad, out, SIZE));
    bad = good;
    bad.key.bytes = NULL;
    assert_false(derive(ours, &bad, out, SIZE));
    bad = good;
    bad.label.bytes = pool;
    bad.label.length = 250;
    assert_false(derive(ours, &bad, out, SIZE));
    bad = good;
    bad.data.bytes = pool;
    bad.data.length = 256;
    assert_false(derive(ours, &bad, out, SIZE));
    bad = good;
    bad.mode_name = "EXTRACT_AND_EXPAND";
    assert_false(derive(ours, &bad, out, SIZE));
    bad = good;
    bad.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
    assert_false(derive(ours, &bad, out, SIZE - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc8448),        cmocka_unit_test(test_random_inputs),
        cmocka_unit_test(test_chain_with_psk), cmocka_unit_test(test_set_params_dup_reset),
        cmocka_unit_test(test_sizes),          cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
