/* Keys in files, files that are refused, and the keyring that finds keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <unistd.h>

#include "base/regular_file.h"
#include "keyd/keys/files.h"
#include "keyd/keys/keyring.h"
#include "keyd/keys/pem.h"

#include "arena_fixture.h"

static char folder[] = "/tmp/test_keyring_XXXXXX";
static char file[64], phrase_file[64];

/* One reader for all tests, so that each key is read after keys of other kinds and after invalid
 * texts. */
static struct pem_reader *reader;

static int set_up(void **state)
{
    arena_make(state);
    reader = pem_reader_new();
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/key.pem", folder);
    snprintf(phrase_file, sizeof phrase_file, "%s/phrase", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pem_reader_free(reader);
    unlink(file);
    unlink(phrase_file);
    return rmdir(folder);
}

static void write_text(const char *path, const void *text, size_t length)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, length, out), length);
    assert_int_equal(fclose(out), 0);
}

/* The PEM file of a key, encrypted with `phrase` if it is not NULL. */
static void write_key(EVP_PKEY *pair, const char *phrase)
{
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    assert_int_equal(PEM_write_PKCS8PrivateKey(out, pair, phrase != NULL ? EVP_aes_256_cbc() : NULL,
                                               NULL, 0, NULL, (void *)phrase),
                     1);
    assert_int_equal(fclose(out), 0);
}

static char error[512];

static struct key *load_config(const struct key_config *config)
{
    struct files files;
    const char *phrase = config->pass_phrase_file;
    assert_true(files_begin(&files));
    assert_true(files_add(&files, config->file, regular_file_open(config->file)));
    if (phrase != NULL)
        assert_true(files_add(&files, phrase, regular_file_open(phrase)));
    const struct key_source source = {.config = config, .files = &files, .reader = reader};
    struct key *key = key_load(&source, error, sizeof error);
    files_close(&files);
    return key;
}

static struct key *load(const char *pass_phrase_file)
{
    const struct key_config config = {.name = (char *)"name",
                                      .location = (char *)"here:1",
                                      .file = (char *)file,
                                      .pass_phrase_file = (char *)pass_phrase_file};
    error[0] = '\0';
    return load_config(&config);
}

static void assert_refused(const char *pass_phrase_file, const char *reason)
{
    assert_null(load(pass_phrase_file));
    if (strstr(error, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error, reason);
}

static const struct kind {
    const char *type, *curve;
    size_t bits;
    enum wire_key_type key_type;
    const char *group;
    size_t schemes, signature_max;
} kinds[] = {
    {"RSA", NULL, 2048, WIRE_KEY_RSA, NULL, 6, 256},
    {"RSA", NULL, 3072, WIRE_KEY_RSA, NULL, 6, 384},
    {"RSA", NULL, 4096, WIRE_KEY_RSA, NULL, 6, 512},
    {"RSA-PSS", NULL, 2048, WIRE_KEY_RSA_PSS, NULL, 3, 256},
    {"EC", "P-256", 256, WIRE_KEY_EC, "P-256", 3, 72},
    {"EC", "P-384", 384, WIRE_KEY_EC, "P-384", 3, 104},
    {"EC", "P-521", 521, WIRE_KEY_EC, "P-521", 3, 139},
    {"ED25519", NULL, 253, WIRE_KEY_ED25519, NULL, 1, 64},
};

/* Makes an RSA-PSS key, which is restricted to `digest` if that is not NULL. */
static EVP_PKEY *make_pss(size_t bits, const EVP_MD *digest)
{
    EVP_PKEY *pair = NULL;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
    assert_int_equal(EVP_PKEY_keygen_init(maker), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(maker, (int)bits), 1);
    if (digest != NULL)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_keygen_md(maker, digest), 1);
    assert_int_equal(EVP_PKEY_generate(maker, &pair), 1);
    EVP_PKEY_CTX_free(maker);
    return pair;
}

static EVP_PKEY *make(const struct kind *kind)
{
    EVP_PKEY *pair;
    if (kind->curve != NULL)
        pair = EVP_PKEY_Q_keygen(NULL, NULL, kind->type, kind->curve);
    else if (strcmp(kind->type, "RSA-PSS") == 0)
        pair = make_pss(kind->bits, NULL);
    else if (strcmp(kind->type, "RSA") == 0)
        pair = EVP_PKEY_Q_keygen(NULL, NULL, kind->type, kind->bits);
    else
        pair = EVP_PKEY_Q_keygen(NULL, NULL, kind->type);
    assert_non_null(pair);
    return pair;
}

static void pss_keys_may_be_restricted(void **state)
{
    (void)state;
    EVP_PKEY *pair = make_pss(2048, EVP_sha384());
    write_key(pair, NULL);
    struct key *key = load(NULL);
    assert_non_null(key);
    assert_int_equal(key->scheme_count, 1);
    assert_true(key_can_sign(key, IMMURE_RSA_PSS_PSS_SHA384));
    key_free(key);
    EVP_PKEY_free(pair);
}

static void only_rsa_keys_decrypt(void **state)
{
    (void)state;
    static const struct {
        const struct kind *kind;
        bool can;
    } cases[] = {{&kinds[0], true}, {&kinds[3], false}, {&kinds[4], false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        EVP_PKEY *pair = make(cases[i].kind);
        write_key(pair, NULL);
        const struct key_config config = {.name = (char *)"name",
                                          .location = (char *)"here:1",
                                          .file = (char *)file,
                                          .decrypt = true};
        struct key *key = load_config(&config);
        assert_int_equal(key != NULL, cases[i].can);
        if (key == NULL)
            assert_string_equal(error, "only RSA keys can decrypt");
        key_free(key);
        EVP_PKEY_free(pair);
    }
}

static void assert_id_is_of_public_half(const struct key *key, EVP_PKEY *pair)
{
    uint8_t *spki = NULL, id[WIRE_KEY_ID_SIZE];
    int length = i2d_PUBKEY(pair, &spki);
    assert_true(length > 0);
    assert_int_equal(EVP_Digest(spki, (size_t)length, id, NULL, EVP_sha256(), NULL), 1);
    assert_int_equal(key->spki_length, length);
    assert_memory_equal(key->spki, spki, (size_t)length);
    assert_memory_equal(key->id, id, sizeof id);
    OPENSSL_free(spki);
}

static void every_kind_is_taken(void **state)
{
    (void)state;
    write_text(phrase_file, "correct horse\nsecond line", 25);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        EVP_PKEY *pair = make(&kinds[i]);
        for (int encrypted = 0; encrypted < 2; encrypted++) {
            write_key(pair, encrypted ? "correct horse" : NULL);
            struct key *key = load(encrypted ? phrase_file : NULL);
            if (key == NULL)
                fail_msg("%s", error);
            assert_int_equal(key->type, kinds[i].key_type);
            assert_int_equal(key->scheme_count, kinds[i].schemes);
            assert_int_equal(key->signature_max, kinds[i].signature_max);
            assert_int_equal(key->group != NULL, kinds[i].group != NULL);
            if (key->group != NULL)
                assert_string_equal(key->group, kinds[i].group);
            assert_string_equal(key->name, "name");
            assert_id_is_of_public_half(key, pair);
            for (size_t j = 0; j < wire_scheme_count; j++)
                assert_int_equal(key_can_sign(key, wire_schemes[j].code),
                                 wire_schemes[j].key_type == key->type);
            assert_false(key_can_sign(key, 0));
            key_free(key);
        }
        EVP_PKEY_free(pair);
    }
}

static void pass_phrases(void **state)
{
    (void)state;
    EVP_PKEY *pair = make(&kinds[3]);
    write_key(pair, "right");
    assert_refused(NULL, "is encrypted, and no pass-phrase-file is given");
    static const char *const wrong[] = {"wrong\n", "", "\nright\n", "right \n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        write_text(phrase_file, wrong[i], strlen(wrong[i]));
        assert_refused(phrase_file, "cannot be decrypted with the pass phrase");
    }
    static const char *const right[] = {"right", "right\n", "right\r\n", "right\nmore\n"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        write_text(phrase_file, right[i], strlen(right[i]));
        struct key *key = load(phrase_file);
        assert_non_null(key);
        key_free(key);
    }
    assert_refused("/nonexistent", "/nonexistent: No such file");
    EVP_PKEY_free(pair);
}

static void other_keys_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *type, *curve;
        size_t bits;
        const char *reason;
    } others[] = {
        {"RSA", NULL, 1024, "RSA of 1024 bits: only 2048 to 8192"},
        {"EC", "P-224", 0, "EC on curve secp224r1: only P-256, P-384 and P-521"},
        {"EC", "secp256k1", 0, "EC on curve secp256k1"},
        {"EC", "brainpoolP256r1", 0, "EC on curve brainpoolP256r1"},
        {"ED448", NULL, 0, "a key of type ED448: only RSA, EC, Ed25519 and ML-DSA"},
        {"X25519", NULL, 0, "a key of type X25519"},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        EVP_PKEY *pair =
            make(&(struct kind){others[i].type, others[i].curve, others[i].bits, 0, 0, 0, 0});
        write_key(pair, NULL);
        assert_refused(NULL, others[i].reason);
        EVP_PKEY_free(pair);
    }
}

static void other_files_are_refused(void **state)
{
    (void)state;
    unlink(file);
    assert_refused(NULL, "No such file");
    static const char *const texts[] = {"", "no PEM at all\n",
                                        "-----BEGIN PRIVATE KEY-----\nMIIB\n",
                                        "-----BEGIN PRIVATE KEY-----\nMIIB\n"
                                        "-----END PRIVATE KEY-----\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_text(file, texts[i], strlen(texts[i]));
        assert_refused(NULL, "holds no private key in PEM form");
    }
    static char large[65537];
    memset(large, '\n', sizeof large);
    write_text(file, large, sizeof large);
    assert_refused(NULL, "File too large");
    EVP_PKEY *pair = make(&kinds[3]);
    FILE *out = fopen(file, "w");
    assert_int_equal(PEM_write_PUBKEY(out, pair), 1);
    assert_int_equal(fclose(out), 0);
    assert_refused(NULL, "holds no private key");
    EVP_PKEY_free(pair);
}

/* A key truncated at any byte is refused with a reason, and affects nothing else. */
static void cut_files_are_refused(void **state)
{
    (void)state;
    EVP_PKEY *pair = make(&kinds[3]);
    write_key(pair, NULL);
    char text[1024];
    FILE *in = fopen(file, "r");
    size_t length = fread(text, 1, sizeof text, in);
    fclose(in);
    for (size_t cut = 0; cut + sizeof "-----" < length; cut++) {
        write_text(file, text, cut);
        assert_null(load(NULL));
        assert_true(strlen(error) > 0);
    }
    EVP_PKEY_free(pair);
}

static struct key *key_with_id(unsigned number)
{
    struct key *key = calloc(1, sizeof *key);
    assert_non_null(key);
    memset(key->id, (int)(number * 7), sizeof key->id);
    memcpy(key->id, &(uint16_t){(uint16_t)(number % 5)}, 2); /* neighbours in the table */
    memcpy(key->id + 16, &number, sizeof number);
    return key;
}

static void thousands_are_found(void **state)
{
    (void)state;
    enum { KEYS = 5000 };
    struct keyring keyring = KEYRING_INIT;
    uint8_t nobody[WIRE_KEY_ID_SIZE] = {0};
    assert_null(keyring_find(&keyring, nobody));
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(keyring_add(&keyring, key_with_id(i)), KEYRING_ADDED);
    for (unsigned i = 0; i < KEYS; i++) {
        struct key *wanted = key_with_id(i);
        const struct key *found = keyring_find(&keyring, wanted->id);
        assert_non_null(found);
        assert_memory_equal(found->id, wanted->id, sizeof wanted->id);
        assert_int_equal(found->index, i);
        wanted->id[31] ^= 1;
        assert_null(keyring_find(&keyring, wanted->id));
        free(wanted);
    }
    assert_int_equal(keyring_add(&keyring, key_with_id(17)), KEYRING_KNOWN);
    assert_int_equal(keyring.count, KEYS);
    keyring_free(&keyring);
    assert_int_equal(keyring.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_taken),    cmocka_unit_test(pss_keys_may_be_restricted),
        cmocka_unit_test(only_rsa_keys_decrypt),  cmocka_unit_test(pass_phrases),
        cmocka_unit_test(other_keys_are_refused), cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(cut_files_are_refused),  cmocka_unit_test(thousands_are_found),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
