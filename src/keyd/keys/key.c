#include "keyd/keys/key.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/regular_file.h"
#include "keyd/keys/files.h"
#include "keyd/keys/pem.h"
#include "wire/limits.h"

static const struct {
    const char *openssl_name, *group;
    int bits;
    size_t signature_max;
} curves[] = {{"prime256v1", "P-256", 256, 72},
              {"secp384r1", "P-384", 384, 104},
              {"secp521r1", "P-521", 521, 139}};

struct pass_phrase {
    struct secret secret;
    bool wanted; /* libcrypto has asked for it, so the key is encrypted */
};

static int pass_phrase_give(char *buffer, int size, int writing, void *arg)
{
    (void)writing;
    struct pass_phrase *phrase = arg;
    phrase->wanted = true;
    if (phrase->secret.bytes == NULL || phrase->secret.length > (size_t)size)
        return -1;
    memcpy(buffer, phrase->secret.bytes, phrase->secret.length);
    return (int)phrase->secret.length;
}

static bool refuse(char *error, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool refuse(char *error, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, size, format, arguments);
    va_end(arguments);
    ERR_clear_error();
    return false;
}

static bool read_pair(struct key *key, const struct key_source *source, char *error, size_t size)
{
    const struct key_config *config = source->config;
    struct secret pem = SECRET_INIT;
    struct pass_phrase phrase = {.secret = SECRET_INIT};
    bool good = false;
    if (!files_read(source->files, config->file, FILES_LONGEST, &pem)) {
        refuse(error, size, "%s: %s", config->file, regular_file_reason(errno));
        goto out;
    }
    if (config->pass_phrase_file != NULL &&
        !files_read_line(source->files, config->pass_phrase_file, PASS_PHRASE_MAX,
                         &phrase.secret)) {
        refuse(error, size, "%s: %s", config->pass_phrase_file, regular_file_reason(errno));
        goto out;
    }
    key->pair = pem_read_key(source->reader, &pem, pass_phrase_give, &phrase);
    good = key->pair != NULL;
    if (!good && phrase.wanted && config->pass_phrase_file == NULL)
        refuse(error, size, "%s: the key is encrypted, and no pass-phrase-file is given",
               config->file);
    else if (!good && phrase.wanted)
        refuse(error, size, "%s: the key cannot be decrypted with the pass phrase in %s",
               config->file, config->pass_phrase_file);
    else if (!good)
        refuse(error, size, "%s: holds no private key in PEM form", config->file);
out:
    secret_free(&pem);
    secret_free(&phrase.secret);
    return good;
}

static bool find_in_device(struct key *key, const struct key_source *source, char *error,
                           size_t size)
{
    if (source->device == NULL)
        return refuse(error, size, "uri needs a backend that is a provider:NAME");
    return source->device->find(source->device_state, key, source->config->uri, source->files,
                                error, size);
}

static bool identify_rsa(struct key *key, enum wire_key_type type, char *error, size_t size)
{
    if (key->bits < WIRE_RSA_BITS_MIN || key->bits > WIRE_RSA_BITS_MAX)
        return refuse(error, size, "RSA of %d bits: only %d to %d are taken", key->bits,
                      WIRE_RSA_BITS_MIN, WIRE_RSA_BITS_MAX);
    key->type = type;
    return true;
}

static bool identify_ec(struct key *key, char *error, size_t size)
{
    char name[64] = "of its own";
    EVP_PKEY_get_group_name(key->pair, name, sizeof name, NULL);
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (strcmp(curves[i].openssl_name, name) == 0)
            key->group = curves[i].group;
    if (key->group == NULL)
        return refuse(error, size, "EC on curve %s: only P-256, P-384 and P-521 are taken", name);
    key->type = WIRE_KEY_EC;
    /* certificates have the uncompressed point (RFC 5480, section 2.2), and the ids must match */
    return EVP_PKEY_set_utf8_string_param(key->pair, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                          "uncompressed") == 1 ||
           refuse(error, size, "libcrypto cannot write the public key");
}

/* The types that sign the whole message and not a digest. */
static const struct {
    const char *name;
    enum wire_key_type type;
    size_t signature_max;
} whole[] = {{"ED25519", WIRE_KEY_ED25519, 64},
             {"ML-DSA-44", WIRE_KEY_MLDSA44, 2420},
             {"ML-DSA-65", WIRE_KEY_MLDSA65, 3309},
             {"ML-DSA-87", WIRE_KEY_MLDSA87, 4627}};

static bool identify(struct key *key, char *error, size_t size)
{
    key->bits = EVP_PKEY_get_bits(key->pair);
    key->signature_max = (size_t)EVP_PKEY_get_size(key->pair);
    if (EVP_PKEY_is_a(key->pair, "RSA"))
        return identify_rsa(key, WIRE_KEY_RSA, error, size);
    if (EVP_PKEY_is_a(key->pair, "RSA-PSS"))
        return identify_rsa(key, WIRE_KEY_RSA_PSS, error, size);
    if (EVP_PKEY_is_a(key->pair, "EC"))
        return identify_ec(key, error, size);
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        if (EVP_PKEY_is_a(key->pair, whole[i].name)) {
            key->type = whole[i].type;
            return true;
        }
    }
    const char *name = EVP_PKEY_get0_type_name(key->pair);
    return refuse(error, size, "a key of type %s: only RSA, EC, Ed25519 and ML-DSA are taken",
                  name != NULL ? name : "unknown");
}

bool key_copy_public(struct key *key, struct der_reader *reader)
{
    int length = i2d_PUBKEY(key->pair, &key->spki);
    if (length <= 0 || length > WIRE_SPKI_MAX)
        return false;
    key->spki_length = (size_t)length;
    key->public = reader != NULL ? der_read_public(reader, key->spki, key->spki_length)
                                 : d2i_PUBKEY(NULL, &(const uint8_t *){key->spki}, length);
    return key->public != NULL;
}

/* Signs and verifies once, which finds damage in either half. */
static bool halves_agree(const struct key *key)
{
    EVP_MD_CTX *signer = EVP_MD_CTX_new(), *verifier = EVP_MD_CTX_new();
    size_t length = key->signature_max;
    uint8_t *signature = malloc(length);
    bool good = signer != NULL && verifier != NULL && signature != NULL &&
                EVP_DigestSignInit(signer, NULL, NULL, NULL, key->pair) == 1 &&
                EVP_DigestSign(signer, signature, &length, key->id, sizeof key->id) == 1 &&
                EVP_DigestVerifyInit(verifier, NULL, NULL, NULL, key->public) == 1 &&
                EVP_DigestVerify(verifier, signature, length, key->id, sizeof key->id) == 1;
    free(signature);
    EVP_MD_CTX_free(signer);
    EVP_MD_CTX_free(verifier);
    return good;
}

/* `digest`: the only one that the key signs; empty: there is no such restriction. */
static void find_schemes(struct key *key, const char *digest)
{
    for (size_t i = 0; i < wire_scheme_count; i++)
        if (wire_schemes[i].key_type == key->type &&
            (digest[0] == '\0' ||
             EVP_MD_is_a(EVP_get_digestbyname(wire_schemes[i].digest), digest)))
            key->schemes[key->scheme_count++] = wire_schemes[i].code;
}

/* A key of type RSA-PSS may be restricted to one digest. */
static void find_own_schemes(struct key *key)
{
    char digest[32] = "";
    if (key->type == WIRE_KEY_RSA_PSS)
        EVP_PKEY_get_utf8_string_param(key->pair, OSSL_PKEY_PARAM_RSA_DIGEST, digest, sizeof digest,
                                       NULL);
    find_schemes(key, digest);
}

static bool name_by_public_half(struct key *key, struct der_reader *reader, char *error,
                                size_t size)
{
    if (!key_copy_public(key, reader) ||
        EVP_Digest(key->spki, key->spki_length, key->id, NULL, EVP_sha256(), NULL) != 1)
        return refuse(error, size, "libcrypto cannot write the public key");
    find_own_schemes(key);
    return true;
}

struct key *key_load(const struct key_source *source, char *error, size_t size)
{
    const struct key_config *config = source->config;
    struct key *key = calloc(1, sizeof *key);
    if (key == NULL || (key->name = strdup(config->name)) == NULL ||
        (key->location = strdup(config->location)) == NULL) {
        refuse(error, size, "out of memory");
        goto failed;
    }
    key->policy = config->policy;
    key->every_group = config->every_group;
    key->decrypt = config->decrypt;
    key->in_device = config->uri != NULL;
    if (!(key->in_device ? find_in_device(key, source, error, size)
                         : read_pair(key, source, error, size)) ||
        !identify(key, error, size) || !name_by_public_half(key, NULL, error, size) ||
        (key->in_device && !source->device->test(source->device_state, key, error, size)))
        goto failed;
    if (!key->in_device && !halves_agree(key)) {
        refuse(error, size, "it does not make good signatures: the key is damaged");
        goto failed;
    }
    key->unverified = source->unverified && key->type == WIRE_KEY_EC && source->device == NULL;
    if (key->decrypt && (key->type != WIRE_KEY_RSA || key->in_device)) {
        refuse(error, size,
               key->in_device ? "a key in a device does not decrypt here"
                              : "only RSA keys can decrypt");
        goto failed;
    }
    return key;
failed:
    key_free(key);
    return NULL;
}

void key_describe(struct key *key, enum wire_key_type type, int bits)
{
    key->type = type;
    key->bits = bits;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (type == WIRE_KEY_EC && curves[i].bits == bits) {
            key->group = curves[i].group;
            key->signature_max = curves[i].signature_max;
        }
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        if (whole[i].type == type)
            key->signature_max = whole[i].signature_max;
    if (type == WIRE_KEY_RSA || type == WIRE_KEY_RSA_PSS)
        key->signature_max = ((size_t)bits + 7) / 8;
    find_schemes(key, "");
}

static bool is_like(const struct key *key, const struct key *like, char *error, size_t size)
{
    if (key->type != like->type || (like->bits != 0 && key->bits != like->bits) ||
        key->signature_max != like->signature_max)
        return refuse(error, size, "its algorithm is not that of the key inside");
    if (memcmp(key->id, like->id, sizeof key->id) != 0)
        return refuse(error, size, "it is not the key of the certificate: another public key");
    return halves_agree(key) ||
           refuse(error, size, "it does not make good signatures: the key is damaged");
}

static bool digest_of(const uint8_t *der, size_t length, uint8_t digest[static 32])
{
    return EVP_Digest(der, length, digest, NULL, EVP_sha256(), NULL) == 1;
}

struct key_proof *key_prove(const struct key *key, const uint8_t *der, size_t length)
{
    struct key_proof *proof = malloc(sizeof *proof + key->spki_length);
    if (proof == NULL)
        return NULL;
    proof->spki_length = key->spki_length;
    memcpy(proof->spki, key->spki, key->spki_length);
    if (digest_of(der, length, proof->digest))
        return proof;
    free(proof);
    return NULL;
}

/* A bit that flipped in memory since would make signatures from which the key can be computed. */
static bool is_proved(const struct key_proof *proof, const uint8_t *der, size_t length, char *error,
                      size_t size)
{
    uint8_t digest[sizeof proof->digest];
    if (!digest_of(der, length, digest))
        return false;
    return memcmp(digest, proof->digest, sizeof digest) == 0 ||
           refuse(error, size, "its bytes in memory have changed: the memory is damaged");
}

/* Takes the public half from the proof. */
static bool take_proved(struct key *key, const struct key *like, const struct key_proof *proof,
                        struct der_reader *reader)
{
    key->spki = OPENSSL_memdup(proof->spki, proof->spki_length);
    key->spki_length = proof->spki_length;
    if (key->spki != NULL)
        key->public = der_read_public(reader, key->spki, key->spki_length);
    memcpy(key->id, like->id, sizeof key->id);
    find_own_schemes(key);
    return key->public != NULL;
}

struct key *key_decode(const struct key *like, struct der_reader *reader, const uint8_t *der,
                       size_t length, const struct key_proof *proof, char *error, size_t size)
{
    struct key *key = calloc(1, sizeof *key);
    error[0] = '\0';
    if (key == NULL)
        return NULL;
    bool good = proof == NULL || is_proved(proof, der, length, error, size);
    if (good)
        key->pair = der_read_key(reader, der, length);
    if (good && (key->pair != NULL || refuse(error, size, "it cannot be decoded")) &&
        identify(key, error, size) &&
        (proof != NULL
             ? take_proved(key, like, proof, reader)
             : name_by_public_half(key, reader, error, size) && is_like(key, like, error, size))) {
        key->name = like->name;
        key->location = like->location;
        key->unverified = like->unverified;
        key->kind = like->kind;
        key->borrowed = true;
        return key;
    }
    key->borrowed = true;
    key_free(key);
    return NULL;
}

void key_free_halves(struct key *key)
{
    EVP_PKEY_free(key->pair);
    EVP_PKEY_free(key->public);
    OPENSSL_free(key->spki);
}

void key_release(struct key *key)
{
    if (key->prepared != NULL)
        key->release(key);
    key->prepared = NULL;
}

void key_free(struct key *key)
{
    if (key == NULL)
        return;
    key_release(key);
    key_free_halves(key);
    if (!key->borrowed) {
        allow_free(&key->allow);
        free(key->location);
        free(key->name);
    }
    free(key);
}

const char *key_difference(const struct key *a, const struct key *b)
{
    if (a->policy != b->policy)
        return "policy";
    if (a->every_group != b->every_group)
        return "tls12-groups";
    if (a->decrypt != b->decrypt)
        return "decrypt";
    if (!allow_equal(&a->allow, &b->allow))
        return "allow-users or allow-groups";
    return a->rate.interval != b->rate.interval || a->rate.burst != b->rate.burst ? "rate" : NULL;
}

bool key_can_sign(const struct key *key, uint16_t scheme)
{
    for (size_t i = 0; i < key->scheme_count; i++)
        if (key->schemes[i] == scheme)
            return true;
    return false;
}
