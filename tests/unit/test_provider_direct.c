/* The provider in a server that knows nothing of it: key references, and connections of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "fake_immured.h"
#include "provider_fixture.h"

#define NOWHERE "/tmp/immure-test-nobody-listens"

static void test_reference_of_every_key(void **state)
{
    (void)state;
    struct fake_immured immured;
    fake_immured_begin(&immured, keys, KEY_COUNT);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        EVP_PKEY *key = key_from_reference(context, &keys[i], immured.path);
        assert_int_equal(immured.connections, i > 0); /* loading a key does not contact immured */
        assert_true(signs_well(context, key, &keys[i]));
        EVP_PKEY_free(key);
    }
    assert_int_equal(immured.connections, 1);
    fake_immured_end(&immured);
}

/* A file with a certificate chain followed by the key, as for lighttpd and HAProxy. */
static BIO *chain_and_reference(size_t key)
{
    BIO *file = BIO_new(BIO_s_mem());
    char *text = reference_text(&keys[key], NOWHERE);
    assert_int_equal(PEM_write_bio_X509(file, certificates[key]), 1);
    assert_int_equal(PEM_write_bio_X509(file, certificates[RSA_2048]), 1);
    BIO_puts(file, text);
    free(text);
    return file;
}

static EVP_PKEY *read_key(BIO *file)
{
    assert_int_equal(BIO_seek(file, 0), 0);
    return PEM_read_bio_PrivateKey_ex(file, NULL, NULL, NULL, context, IMMURE_OPENSSL_PROPERTIES);
}

static size_t read_certificates(BIO *file)
{
    size_t count = 0;
    X509 *certificate;
    assert_int_equal(BIO_seek(file, 0), 0);
    while ((certificate = PEM_read_bio_X509(file, NULL, NULL, NULL)) != NULL) {
        X509_free(certificate);
        count++;
    }
    return count;
}

static void test_reference_behind_certificates(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        BIO *file = chain_and_reference(i);
        EVP_PKEY *key = read_key(file);
        assert_non_null(key);
        assert_int_equal(ERR_peek_error(), 0);
        X509 *certificate = certificate_in_context(i);
        assert_int_equal(X509_check_private_key(certificate, key), 1);
        X509_free(certificate);
        EVP_PKEY_free(key);

        /* The end of the chain leaves an error on the queue when lighttpd looks for the key, and
         * when HAProxy reads the next file. It remains the only error, and the key is found all the
         * same. */
        assert_int_equal(read_certificates(file), 2);
        key = read_key(file);
        assert_non_null(key);
        assert_int_equal(ERR_GET_REASON(ERR_get_error()), PEM_R_NO_START_LINE);
        assert_int_equal(ERR_get_error(), 0);
        EVP_PKEY_free(key);
        BIO_free(file);
    }
}

/* Other keys are found, or not, as if there were no key references. */
static void test_other_keys_in_a_file(void **state)
{
    (void)state;
    BIO *file = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(file, certificates[RSA_2048]), 1);
    assert_null(read_key(file));
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), ERR_R_UNSUPPORTED);
    assert_int_equal(ERR_get_error(), 0);
    assert_int_equal(PEM_write_bio_PrivateKey(file, keys[P_384].private, NULL, NULL, 0, NULL, NULL),
                     1);
    char *text = reference_text(&keys[P_256], NOWHERE);
    BIO_puts(file, text);
    free(text);
    EVP_PKEY *key = read_key(file);
    assert_non_null(key);
    assert_int_equal(EVP_PKEY_eq(key, keys[P_384].private), 1);
    EVP_PKEY_free(key);
    BIO_free(file);
}

static void test_damaged_reference(void **state)
{
    (void)state;
    struct fake_key other = keys[P_256];
    other.id[0] ^= 1;
    char *text = reference_text(&other, NOWHERE);
    assert_null(key_from_text(context, text));
    assert_true(error_queue_has("the key reference is damaged"));
    free(text);

    other = keys[P_256];
    uint8_t cut[64];
    memcpy(cut, other.spki, sizeof cut);
    cut[1] = sizeof cut - 2; /* a SEQUENCE, but no key */
    other.spki = cut;
    other.spki_length = sizeof cut;
    text = reference_text(&other, NOWHERE);
    assert_null(key_from_text(context, text));
    assert_true(error_queue_has("the key reference is damaged"));
    free(text);
}

static void test_nobody_listens(void **state)
{
    (void)state;
    OSSL_LIB_CTX *server = context_with_settings("timeout = 300ms");
    EVP_PKEY *key = key_from_reference(server, &keys[P_256], NOWHERE);
    uint64_t begun = clock_now();
    assert_false(signs_well(server, key, &keys[P_256]));
    uint64_t first = clock_now() - begun;
    assert_true(first >= 300 * NS_PER_MS);
    const char *data = NULL;
    unsigned long error = ERR_peek_error_all(NULL, NULL, NULL, &data, NULL);
    assert_string_equal(ERR_reason_error_string(error), "no connection to immured");
    assert_string_equal(data, NOWHERE ": No such file or directory");
    ERR_clear_error();

    /* The next requests do not wait for an immured that is known to be down. */
    begun = clock_now();
    assert_false(signs_well(server, key, &keys[P_256]));
    assert_true(clock_now() - begun < first);
    assert_true(error_queue_has("no connection to immured"));
    EVP_PKEY_free(key);
    OSSL_LIB_CTX_free(server);
}

/* The state of one immured does not affect the wait for another. */
static void test_nobody_listens_at_one_of_two(void **state)
{
    (void)state;
    struct fake_immured immured;
    OSSL_LIB_CTX *server = context_with_settings("timeout = 500ms");
    fake_immured_begin(&immured, keys, KEY_COUNT);
    EVP_PKEY *there = key_from_reference(server, &keys[P_256], immured.path);
    EVP_PKEY *away = key_from_reference(server, &keys[P_384], NOWHERE);
    assert_false(signs_well(server, away, &keys[P_384]));
    for (int i = 0; i < 5; i++) {
        assert_true(signs_well(server, there, &keys[P_256]));
        uint64_t begun = clock_now();
        assert_false(signs_well(server, away, &keys[P_384]));
        assert_true(clock_now() - begun < 500 * NS_PER_MS);
    }
    ERR_clear_error();
    EVP_PKEY_free(there);
    EVP_PKEY_free(away);
    OSSL_LIB_CTX_free(server);
    fake_immured_end(&immured);
}

/* Errors such as missing permission are not cured by waiting, so they are reported at once. */
static void test_sockets_that_cannot_be_reached(void **state)
{
    (void)state;
    char directory[] = "/tmp/immure-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/closed", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(directory, 0755), 0);
    snprintf(path, sizeof path, "%s/closed/immured.sock", directory);
    const struct {
        const char *path, *text;
        bool other_user;
    } cases[] = {{"/dev/null/immured.sock", "Not a directory", false},
                 {path, "Permission denied", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cases[i].other_user && getuid() != 0)
            continue;
        OSSL_LIB_CTX *server = context_with_settings("timeout = 60s");
        EVP_PKEY *key = key_from_reference(server, &keys[P_256], cases[i].path);
        uint64_t begun = clock_now();
        if (cases[i].other_user)
            assert_int_equal(seteuid(65534), 0);
        for (int j = 0; j < 2; j++) {
            assert_false(signs_well(server, key, &keys[P_256]));
            const char *data;
            ERR_peek_error_all(NULL, NULL, NULL, &data, NULL);
            assert_non_null(strstr(data, cases[i].text));
            assert_true(error_queue_has("no connection to immured"));
        }
        if (cases[i].other_user)
            assert_int_equal(seteuid(0), 0);
        assert_true(clock_now() - begun < 30 * NS_PER_S);
        EVP_PKEY_free(key);
        OSSL_LIB_CTX_free(server);
    }
    *strrchr(path, '/') = '\0';
    rmdir(path);
    rmdir(directory);
}

static void test_peer_user(void **state)
{
    (void)state;
    struct fake_immured immured;
    fake_immured_begin(&immured, keys, KEY_COUNT);
    for (unsigned other = 0; other < 2; other++) {
        char line[64];
        snprintf(line, sizeof line, "peer-user = %u\ntimeout = 60s", (unsigned)getuid() + other);
        OSSL_LIB_CTX *server = context_with_settings(line);
        EVP_PKEY *key = key_from_reference(server, &keys[P_256], immured.path);
        uint64_t begun = clock_now();
        assert_int_equal(signs_well(server, key, &keys[P_256]), other == 0);
        assert_true(clock_now() - begun < 30 * NS_PER_S);
        assert_int_equal(immured.requests, 1);
        assert_int_equal(error_queue_has("another user listens there than peer-user says"),
                         other > 0);
        EVP_PKEY_free(key);
        OSSL_LIB_CTX_free(server);
    }
    struct passwd *self = getpwuid(getuid());
    if (self != NULL) {
        char line[64];
        snprintf(line, sizeof line, "peer-user = %s", self->pw_name);
        OSSL_LIB_CTX *server = context_with_settings(line);
        EVP_PKEY *key = key_from_reference(server, &keys[P_256], immured.path);
        assert_true(signs_well(server, key, &keys[P_256]));
        EVP_PKEY_free(key);
        OSSL_LIB_CTX_free(server);
    }
    fake_immured_end(&immured);
}

static void test_immured_comes_back(void **state)
{
    (void)state;
    struct fake_immured immured;
    OSSL_LIB_CTX *server = context_with_settings("timeout = 20s");
    fake_immured_begin(&immured, keys, KEY_COUNT);
    EVP_PKEY *key = key_from_reference(server, &keys[P_256], immured.path);
    for (int i = 0; i < 3; i++) {
        assert_true(signs_well(server, key, &keys[P_256]));
        fake_immured_end(&immured);
        fake_immured_begin(&immured, keys, KEY_COUNT);
    }
    assert_true(signs_well(server, key, &keys[P_256]));
    fake_immured_end(&immured);
    EVP_PKEY_free(key);
    OSSL_LIB_CTX_free(server);
}

static void test_each_error_has_its_reason(void **state)
{
    (void)state;
    static const struct {
        enum immure_error error;
        const char *reason;
    } cases[] = {
        {IMMURE_E_UNKNOWN_KEY, "immured does not have this key"},
        {IMMURE_E_POLICY, "the key's policy does not allow it"},
        {IMMURE_E_PEER, "immured does not serve this user"},
        {IMMURE_E_EXPIRED, "immured did not answer in time"},
        {IMMURE_E_SIGNING, "immured did not sign"},
    };
    struct fake_immured immured;
    fake_immured_begin(&immured, keys, KEY_COUNT);
    EVP_PKEY *key = key_from_reference(context, &keys[P_256], immured.path);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        immured.refuses = (int)cases[i].error;
        assert_false(signs_well(context, key, &keys[P_256]));
        const char *data;
        ERR_peek_error_all(NULL, NULL, NULL, &data, NULL);
        assert_non_null(strstr(data, "so it is"));
        assert_true(error_queue_has(cases[i].reason));
    }
    immured.refuses = 0;
    assert_true(signs_well(context, key, &keys[P_256]));
    assert_int_equal(immured.connections, 1);
    EVP_PKEY_free(key);
    fake_immured_end(&immured);
}

/* Retries, because immured may be slow to answer the ping. */
static bool becomes_good(OSSL_LIB_CTX *server, EVP_PKEY *key, const struct fake_key *held)
{
    uint64_t end = clock_now() + 20 * NS_PER_S;
    bool good = false;
    while (!good && clock_now() < end)
        good = signs_well(server, key, held);
    ERR_clear_error();
    return good;
}

static void test_silent_immured(void **state)
{
    (void)state;
    struct fake_immured immured;
    fake_immured_begin(&immured, keys, KEY_COUNT);
    immured.silent = true;
    OSSL_LIB_CTX *server = context_with_settings("timeout = 2s");
    EVP_PKEY *key = key_from_reference(server, &keys[P_256], immured.path);
    uint64_t begun = clock_now();
    assert_false(signs_well(server, key, &keys[P_256]));
    assert_true(clock_now() - begun >= 2 * NS_PER_S);
    assert_true(error_queue_has("immured did not answer in time"));

    /* The next requests only check whether it answers again. */
    for (int i = 0; i < 10; i++) {
        begun = clock_now();
        assert_false(signs_well(server, key, &keys[P_256]));
        assert_true(clock_now() - begun < NS_PER_S);
        assert_true(error_queue_has("immured did not answer in time"));
    }
    immured.silent = false;
    assert_true(becomes_good(server, key, &keys[P_256]));
    EVP_PKEY_free(key);
    OSSL_LIB_CTX_free(server);
    fake_immured_end(&immured);
}

static void test_socket_setting_goes_before_the_reference(void **state)
{
    (void)state;
    struct fake_immured immured;
    fake_immured_begin(&immured, keys, KEY_COUNT);
    char line[128];
    snprintf(line, sizeof line, "socket = %s", immured.path);
    OSSL_LIB_CTX *server = context_with_settings(line);
    EVP_PKEY *key = key_from_reference(server, &keys[RSA_2048], NOWHERE);
    assert_true(signs_well(server, key, &keys[RSA_2048]));
    EVP_PKEY_free(key);
    OSSL_LIB_CTX_free(server);
    fake_immured_end(&immured);
}

static void test_bad_settings(void **state)
{
    (void)state;
    static const char *const lines[] = {"timeout = soon",       "timeout = 0s",
                                        "timeout = 2h",         "socket = relative/path",
                                        "asynchronous = maybe", "peer-user = no such user",
                                        "peer-user = 12x",      "peer-user = 4294967295"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        OSSL_LIB_CTX *server = context_with_settings(lines[i]);
        char *text = reference_text(&keys[P_256], NOWHERE);
        assert_null(key_from_text(server, text));
        const char *data;
        ERR_peek_error_all(NULL, NULL, NULL, &data, NULL);
        assert_true(strncmp(data, lines[i], strlen(lines[i])) == 0);
        assert_non_null(strstr(data, "expected: "));
        assert_true(error_queue_has("a setting in openssl.cnf is wrong"));
        free(text);
        OSSL_LIB_CTX_free(server);
    }
}

/* Master and workers: the child does not touch the parent's connections. */
static void test_fork(void **state)
{
    (void)state;
    struct fake_immured immured;
    fake_immured_begin(&immured, keys, KEY_COUNT);
    EVP_PKEY *key = key_from_reference(context, &keys[P_256], immured.path);
    assert_true(signs_well(context, key, &keys[P_256]));
    for (size_t i = 0; i < 3; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(signs_well(context, key, &keys[P_256]) ? 0 : 1);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(immured.connections, 2 + i);
        assert_true(signs_well(context, key, &keys[P_256]));
        assert_int_equal(immured.connections, 2 + i);
    }
    EVP_PKEY_free(key);
    fake_immured_end(&immured);
}

enum { STRANGERS = 40 };

/* Reuses the closed numbers for sockets, into which a request could be written by mistake. */
static void take_numbers(int ends[STRANGERS][2])
{
    for (size_t i = 0; i < STRANGERS; i++)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends[i]), 0);
}

/* Nothing was written into them, and none is closed. */
static bool are_untouched(int ends[STRANGERS][2])
{
    char byte;
    for (size_t i = 0; i < STRANGERS; i++)
        for (size_t end = 0; end < 2; end++)
            if (recv(ends[i][end], &byte, 1, 0) != -1 || errno != EAGAIN)
                return false;
    return true;
}

/* Like a child that becomes a daemon: it closes all inherited descriptors, opens files of its own,
 * and then signs. */
static bool signs_with_closed_descriptors(EVP_PKEY *key, OSSL_LIB_CTX *server)
{
    int ends[STRANGERS][2];
    if (close_range(3, ~0U, 0) != 0)
        return false;
    take_numbers(ends);
    bool good = signs_well(server, key, &keys[P_256]) && signs_well(server, key, &keys[P_256]);
    EVP_PKEY_free(key);
    OSSL_LIB_CTX_free(server);
    return good && are_untouched(ends);
}

static void test_closed_behind_our_back(void **state)
{
    (void)state;
    struct fake_immured immured;
    fake_immured_begin(&immured, keys, KEY_COUNT);
    for (int own = 0; own < 2; own++) {
        OSSL_LIB_CTX *server = context_with_settings("timeout = 20s");
        EVP_PKEY *key = key_from_reference(server, &keys[P_256], immured.path);
        assert_true(signs_well(server, key, &keys[P_256]));
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            /* The connection is the parent's or, after the child has signed, its own. */
            bool good = own == 0 || signs_well(server, key, &keys[P_256]);
            _exit(good && signs_with_closed_descriptors(key, server) ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_true(signs_well(server, key, &keys[P_256]));
        EVP_PKEY_free(key);
        OSSL_LIB_CTX_free(server);
    }
    fake_immured_end(&immured);
}

struct work {
    EVP_PKEY *key;
    bool good;
};

static void *sign_often(void *arg)
{
    struct work *work = arg;
    work->good = true;
    for (int i = 0; i < 50; i++)
        work->good = work->good && signs_well(context, work->key, &keys[ED_25519]);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    struct fake_immured immured;
    fake_immured_begin(&immured, keys, KEY_COUNT);
    EVP_PKEY *key = key_from_reference(context, &keys[ED_25519], immured.path);
    pthread_t threads[THREADS];
    struct work work[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        work[i].key = key;
        assert_int_equal(pthread_create(&threads[i], NULL, sign_often, &work[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(work[i].good);
    }
    assert_true(immured.connections <= THREADS);
    EVP_PKEY_free(key);
    fake_immured_end(&immured);
}

static void test_message_in_pieces(void **state)
{
    (void)state;
    struct fake_immured immured;
    fake_immured_begin(&immured, keys, KEY_COUNT);
    EVP_PKEY *key = key_from_reference(context, &keys[P_256], immured.path);
    static uint8_t message[IMMURE_MESSAGE_MAX];
    uint8_t signature[IMMURE_SIGNATURE_MAX];
    size_t length = sizeof signature;
    EVP_MD_CTX *signing = EVP_MD_CTX_new(), *verifying = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit_ex(signing, NULL, "SHA384", context, NULL, key, NULL), 1);
    for (size_t i = 0; i < sizeof message; i += 1000)
        assert_int_equal(EVP_DigestSignUpdate(signing, message + i, 1000), 1);
    assert_int_equal(EVP_DigestSignFinal(signing, signature, &length), 1);
    assert_int_equal(
        EVP_DigestVerifyInit_ex(verifying, NULL, "SHA384", NULL, NULL, keys[P_256].private, NULL),
        1);
    assert_int_equal(EVP_DigestVerify(verifying, signature, length, message, sizeof message), 1);

    assert_int_not_equal(EVP_DigestSignUpdate(signing, message, 1), 1);
    assert_true(error_queue_has("the message is empty or too long"));
    EVP_MD_CTX_free(signing);
    EVP_MD_CTX_free(verifying);
    EVP_PKEY_free(key);

    key = key_from_reference(context, &keys[ED_25519], immured.path);
    signing = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit_ex(signing, NULL, NULL, context, NULL, key, NULL), 1);
    assert_int_not_equal(EVP_DigestSignUpdate(signing, message, 1), 1);
    assert_true(error_queue_has("this algorithm takes the message in one piece"));
    EVP_MD_CTX_free(signing);
    EVP_PKEY_free(key);
    fake_immured_end(&immured);
}

static void encrypt_premaster(const uint8_t premaster[IMMURE_PREMASTER_SIZE], uint8_t *ciphertext,
                              size_t size)
{
    EVP_PKEY_CTX *encryption = EVP_PKEY_CTX_new_from_pkey(NULL, keys[RSA_2048].private, NULL);
    assert_int_equal(EVP_PKEY_encrypt_init(encryption), 1);
    assert_int_equal(
        EVP_PKEY_encrypt(encryption, ciphertext, &size, premaster, IMMURE_PREMASTER_SIZE), 1);
    EVP_PKEY_CTX_free(encryption);
}

static void test_decrypts_premaster_secrets_only(void **state)
{
    (void)state;
    static const int paddings[] = {RSA_PKCS1_PADDING, RSA_PKCS1_OAEP_PADDING, RSA_NO_PADDING};
    static const char refusal[] = "immured decrypts nothing but TLS's RSA key exchange";
    const uint8_t premaster[IMMURE_PREMASTER_SIZE] = {3, 3, 1, 2, 3};
    uint8_t ciphertext[256], made[IMMURE_PREMASTER_SIZE];
    size_t length = sizeof made;
    unsigned version = 0x0303;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_uint("tls-client-version", &version),
                           OSSL_PARAM_construct_end()};
    struct fake_immured immured;
    fake_immured_begin(&immured, keys, KEY_COUNT);
    EVP_PKEY *key = key_from_reference(context, &keys[RSA_2048], immured.path);
    EVP_PKEY_CTX *decryption = EVP_PKEY_CTX_new_from_pkey(context, key, NULL);
    encrypt_premaster(premaster, ciphertext, sizeof ciphertext);
    assert_int_equal(EVP_PKEY_decrypt_init(decryption), 1);
    assert_int_not_equal(EVP_PKEY_decrypt(decryption, made, &length, ciphertext, sizeof ciphertext),
                         1);
    assert_true(error_queue_has(refusal));
    for (size_t i = 0; i < sizeof paddings / sizeof paddings[0]; i++) {
        assert_int_not_equal(EVP_PKEY_CTX_set_rsa_padding(decryption, paddings[i]), 1);
        assert_true(error_queue_has(refusal));
    }
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(decryption, RSA_PKCS1_WITH_TLS_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_params(decryption, params), 1);
    assert_int_equal(EVP_PKEY_decrypt(decryption, NULL, &length, ciphertext, sizeof ciphertext), 1);
    assert_int_equal(length, sizeof made);
    assert_int_equal(EVP_PKEY_decrypt(decryption, made, &length, ciphertext, sizeof ciphertext), 1);
    assert_memory_equal(made, premaster, sizeof made);
    EVP_PKEY_CTX_free(decryption);
    EVP_PKEY_free(key);
    fake_immured_end(&immured);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_of_every_key),
        cmocka_unit_test(test_reference_behind_certificates),
        cmocka_unit_test(test_other_keys_in_a_file),
        cmocka_unit_test(test_damaged_reference),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_nobody_listens_at_one_of_two),
        cmocka_unit_test(test_sockets_that_cannot_be_reached),
        cmocka_unit_test(test_peer_user),
        cmocka_unit_test(test_immured_comes_back),
        cmocka_unit_test(test_each_error_has_its_reason),
        cmocka_unit_test(test_silent_immured),
        cmocka_unit_test(test_socket_setting_goes_before_the_reference),
        cmocka_unit_test(test_bad_settings),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_closed_behind_our_back),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_message_in_pieces),
        cmocka_unit_test(test_decrypts_premaster_secrets_only),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_free);
}
