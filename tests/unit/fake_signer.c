#include "fake_signer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "wire/scheme.h"
#include "wire/stats.h"

void fake_key_take(struct fake_key *key, const char *label, EVP_PKEY *private)
{
    assert_non_null(private);
    *key = (struct fake_key){.label = label, .private = private};
    key->spki_length = (size_t)i2d_PUBKEY(key->private, &key->spki);
    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, key->spki, key->spki_length, key->id, NULL),
                     1);
}

void fake_key_make(struct fake_key *key, const char *label, const char *type, const char *curve,
                   size_t bits)
{
    if (curve != NULL)
        fake_key_take(key, label, EVP_PKEY_Q_keygen(NULL, NULL, type, curve));
    else if (bits > 0)
        fake_key_take(key, label, EVP_PKEY_Q_keygen(NULL, NULL, type, bits));
    else
        fake_key_take(key, label, EVP_PKEY_Q_keygen(NULL, NULL, type));
}

void fake_key_make_pss(struct fake_key *key, const char *label, const char *digest)
{
    int salt = digest != NULL ? EVP_MD_get_size(EVP_get_digestbyname(digest)) : 0;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_RSA_DIGEST, (char *)digest, 0),
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_RSA_MGF1_DIGEST, (char *)digest, 0),
        OSSL_PARAM_construct_int(OSSL_PKEY_PARAM_RSA_PSS_SALTLEN, &salt),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *made = NULL;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
    assert_int_equal(EVP_PKEY_keygen_init(maker), 1);
    if (digest != NULL)
        assert_int_equal(EVP_PKEY_CTX_set_params(maker, params), 1);
    assert_int_equal(EVP_PKEY_generate(maker, &made), 1);
    EVP_PKEY_CTX_free(maker);
    fake_key_take(key, label, made);
}

void fake_key_release(struct fake_key *key)
{
    EVP_PKEY_free(key->private);
    OPENSSL_free(key->spki);
}

static EVP_PKEY *find(const struct peer_request *request, const struct fake_key *keys, size_t count)
{
    size_t i = 0;
    while (i < count && memcmp(keys[i].id, request->key_id, sizeof request->key_id) != 0)
        i++;
    assert_true(i < count);
    return keys[i].private;
}

void fake_sign(struct peer *peer, const struct peer_request *request, const struct fake_key *keys,
               size_t count)
{
    EVP_PKEY *private = find(request, keys, count);
    const struct wire_scheme *scheme = wire_scheme_find(request->scheme);
    assert_non_null(scheme);

    uint8_t signature[WIRE_SIGNATURE_MAX];
    size_t length = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters;
    assert_int_equal(
        EVP_DigestSignInit_ex(context, &parameters, scheme->digest, NULL, NULL, private, NULL), 1);
    if (scheme->pss) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    assert_int_equal(
        EVP_DigestSign(context, signature, &length, request->message, request->message_length), 1);
    EVP_MD_CTX_free(context);
    peer_say_signed(peer, request->id, signature, length);
}

void fake_decrypt(struct peer *peer, const struct peer_request *request,
                  const struct fake_key *keys, size_t count)
{
    uint8_t premaster[WIRE_PREMASTER_SIZE];
    size_t length = sizeof premaster;
    unsigned version = request->client_version;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &version),
        OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, find(request, keys, count), NULL);
    assert_int_equal(EVP_PKEY_decrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_WITH_TLS_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_params(context, params), 1);
    assert_int_equal(
        EVP_PKEY_decrypt(context, premaster, &length, request->message, request->message_length),
        1);
    EVP_PKEY_CTX_free(context);
    struct wire_decrypted answer = {
        .backend = WIRE_BACKEND_TEST, .queue_ns = 11, .decrypt_ns = 22, .premaster = premaster};
    assert_true(wire_put_decrypted(&peer->output, request->id, &answer));
}
