/*
 * Decodes key references, provider-decoder(7), in OpenSSL's two steps: from PEM to DER, and from
 * DER to a key of each type. Neither step asks immured, which need not be running yet. For
 * certificates (certificate.h) the second step decodes the public key itself.
 */
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <string.h>

#include "immure/reference.h"
#include "provider/key.h"
#include "provider/reason.h"

#define STRUCTURE "ImmureKeyReference"

/* Decoders have no state. */
static void *decoder_new(void *context)
{
    return context;
}

static void decoder_free(void *context)
{
    (void)context;
}

/* Only keys, not parameters alone. A selection of 0 means any object. */
static int decoder_does_selection(void *context, int selection)
{
    (void)context;
    return selection == 0 || (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) != 0;
}

/*
 * Exports a key to the key management of another provider, which is always refused. It must exist
 * because libcrypto calls it without a check when it cannot fetch our key management, for lack of
 * memory.
 */
static int decoder_export_object(void *context, const void *key, size_t size,
                                 OSSL_CALLBACK *callback, void *arg)
{
    (void)context;
    (void)key;
    (void)size;
    (void)callback;
    (void)arg;
    return 0;
}

/* False with the reason on the error queue. */
static bool reference_check(struct provider *provider, const uint8_t *der, size_t length)
{
    struct immure_reference reference;
    uint8_t id[IMMURE_KEY_ID_SIZE];
    enum immure_reference_error error = immure_reference_parse_der(&reference, der, length);
    const char *fault = error != IMMURE_REFERENCE_OK ? immure_reference_error_text(error) : NULL;
    if (provider->settings.fault[0] != '\0') {
        RAISE(provider, REASON_SETTING, "%s", provider->settings.fault);
        return false;
    }
    if (fault == NULL) {
        ERR_set_mark();
        EVP_PKEY *public = spki_read(&provider->spki, reference.spki, reference.spki_length);
        if (public == NULL || key_type_of(public) == key_type_count)
            fault = "its public key is of an unknown type";
        else if (!EVP_Q_digest(provider->context, "SHA256", NULL, reference.spki,
                               reference.spki_length, id, NULL) ||
                 memcmp(id, reference.key_id, sizeof id) != 0)
            fault = "its key id is not the SHA-256 of its public key";
        EVP_PKEY_free(public);
        ERR_pop_to_mark();
    }
    if (fault != NULL)
        RAISE(provider, REASON_REFERENCE, "%s", fault);
    return fault == NULL;
}

static int give_der(uint8_t *der, size_t length, OSSL_CALLBACK *callback, void *arg)
{
    int type = OSSL_OBJECT_PKEY;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &type),
        OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_STRUCTURE, (char *)STRUCTURE, 0),
        OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_DATA, der, length),
        OSSL_PARAM_construct_end(),
    };
    return callback(params, arg);
}

/* One block of PEM, which may be anything, even a private key. */
struct pem_block {
    char *label, *header;
    uint8_t *data;
    long length;
};

/* False if there is no further block, or it is damaged. */
static bool block_read(struct pem_block *block, BIO *bio)
{
    *block = (struct pem_block){.length = 0};
    return PEM_read_bio(bio, &block->label, &block->header, &block->data, &block->length) == 1;
}

static void block_free(struct pem_block *block)
{
    OPENSSL_free(block->label);
    OPENSSL_free(block->header);
    OPENSSL_clear_free(block->data, (size_t)block->length);
}

static bool names_private_key(const char *label)
{
    static const char end[] = "PRIVATE KEY";
    size_t length = strlen(label);
    return length >= strlen(end) && strcmp(label + length - strlen(end), end) == 0;
}

/*
 * Reads the next block if it is a key reference. If the caller wants a private key, other blocks
 * before the reference are skipped: PEM_read_bio_PrivateKey() itself proceeds to the next block
 * only if OpenSSL's error queue is empty, and reading a certificate chain leaves an error there.
 * False: the position is after the next block, as OpenSSL's own decoder leaves it, and the other
 * decoders take over.
 */
static bool find_reference(struct pem_block *block, BIO *bio, int selection)
{
    bool behind_others = (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0;
    int next = -1;
    while (block_read(block, bio)) {
        if (strcmp(block->label, IMMURE_REFERENCE_LABEL) == 0)
            return true;
        bool ends = !behind_others || names_private_key(block->label);
        block_free(block);
        if (next < 0)
            next = BIO_tell(bio);
        if (ends)
            break;
    }
    if (next >= 0)
        (void)BIO_seek(bio, next);
    return false;
}

/* Leaves anything but a key reference to the other decoders: returns 1 without calling the
 * callback. */
static int pem_decode(void *context, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *callback,
                      void *arg, OSSL_PASSPHRASE_CALLBACK *phrase, void *phrase_arg)
{
    struct provider *provider = context;
    struct pem_block block;
    int result = 1;
    (void)phrase;
    (void)phrase_arg;
    BIO *bio = BIO_new_from_core_bio(provider->context, in);
    if (bio == NULL)
        return 0;
    ERR_set_mark();
    bool found = find_reference(&block, bio, selection);
    ERR_pop_to_mark();
    if (found) {
        result = reference_check(provider, block.data, (size_t)block.length) &&
                 give_der(block.data, (size_t)block.length, callback, arg);
        block_free(&block);
    }
    BIO_free(bio);
    return result;
}

/* Returns the length, or 0 if the input is empty or longer than `size`. */
static size_t read_all(BIO *bio, uint8_t *bytes, size_t size)
{
    size_t length = 0, got;
    uint8_t beyond;
    while (length < size && BIO_read_ex(bio, bytes + length, size - length, &got) == 1)
        length += got;
    return length < size || BIO_read_ex(bio, &beyond, 1, &got) != 1 ? length : 0;
}

/* Which public key the input is about. False: it is not for this provider. */
static bool find_spki(const struct provider *provider, struct immure_reference *reference,
                      const uint8_t *der, size_t length)
{
    if (provider->for_certificates) {
        *reference = (struct immure_reference){.spki = der, .spki_length = length};
        return true;
    }
    return immure_reference_parse_der(reference, der, length) == IMMURE_REFERENCE_OK;
}

static int der_decode(struct provider *provider, enum key_type_index type, OSSL_CORE_BIO *in,
                      OSSL_CALLBACK *callback, void *arg)
{
    uint8_t der[IMMURE_REFERENCE_DER_MAX];
    struct immure_reference reference;
    BIO *bio = BIO_new_from_core_bio(provider->context, in);
    if (bio == NULL)
        return 0;
    ERR_set_mark();
    size_t length = read_all(bio, der, sizeof der);
    EVP_PKEY *public_key = NULL;
    if (length > 0 && find_spki(provider, &reference, der, length))
        public_key = spki_read(&provider->spki, reference.spki, reference.spki_length);
    ERR_pop_to_mark();
    BIO_free(bio);
    if (public_key != NULL && key_type_of(public_key) == (size_t)type)
        return key_hand_over(provider, public_key, reference.spki, reference.spki_length,
                             reference.socket, callback, arg);
    EVP_PKEY_free(public_key);
    return 1;
}

#define DECODER_COMMON                                                                             \
    {OSSL_FUNC_DECODER_NEWCTX, (provider_function)decoder_new},                                    \
        {OSSL_FUNC_DECODER_FREECTX, (provider_function)decoder_free},                              \
        {OSSL_FUNC_DECODER_EXPORT_OBJECT, (provider_function)decoder_export_object},               \
    {                                                                                              \
        OSSL_FUNC_DECODER_DOES_SELECTION, (provider_function)decoder_does_selection                \
    }

static const OSSL_DISPATCH pem_functions[] = {
    DECODER_COMMON,
    {OSSL_FUNC_DECODER_DECODE, (provider_function)pem_decode},
    {0, NULL},
};

/* OpenSSL does not pass the key type, so each type has a function of its own. */
#define KEY_TYPE_DECODER(prefix, index)                                                            \
    static int prefix##_decode(void *context, OSSL_CORE_BIO *in, int selection,                    \
                               OSSL_CALLBACK *callback, void *arg,                                 \
                               OSSL_PASSPHRASE_CALLBACK *phrase, void *phrase_arg)                 \
    {                                                                                              \
        (void)selection;                                                                           \
        (void)phrase;                                                                              \
        (void)phrase_arg;                                                                          \
        return der_decode(context, index, in, callback, arg);                                      \
    }                                                                                              \
    static const OSSL_DISPATCH prefix##_functions[] = {                                            \
        DECODER_COMMON,                                                                            \
        {OSSL_FUNC_DECODER_DECODE, (provider_function)prefix##_decode},                            \
        {0, NULL},                                                                                 \
    };

KEY_TYPE_DECODER(rsa, KEY_RSA)
KEY_TYPE_DECODER(rsa_pss, KEY_RSA_PSS)
KEY_TYPE_DECODER(ec, KEY_EC)
KEY_TYPE_DECODER(ed25519, KEY_ED25519)
KEY_TYPE_DECODER(mldsa44, KEY_MLDSA44)
KEY_TYPE_DECODER(mldsa65, KEY_MLDSA65)
KEY_TYPE_DECODER(mldsa87, KEY_MLDSA87)

#define PEM_INPUT PROVIDER_PROPERTIES ",input=pem"
#define DER_INPUT(structure) PROVIDER_PROPERTIES ",input=der,structure=" structure
#define MLDSA_DECODERS(structure)                                                                  \
    {PROVIDER_MLDSA44, DER_INPUT(structure), mldsa44_functions, NULL},                             \
        {PROVIDER_MLDSA65, DER_INPUT(structure), mldsa65_functions, NULL},                         \
    {                                                                                              \
        PROVIDER_MLDSA87, DER_INPUT(structure), mldsa87_functions, NULL                            \
    }
#define OTHER_DECODERS(structure)                                                                  \
    {PROVIDER_RSA, DER_INPUT(structure), rsa_functions, NULL},                                     \
        {PROVIDER_RSA_PSS, DER_INPUT(structure), rsa_pss_functions, NULL},                         \
        {PROVIDER_EC, DER_INPUT(structure), ec_functions, NULL},                                   \
    {                                                                                              \
        PROVIDER_ED25519, DER_INPUT(structure), ed25519_functions, NULL                            \
    }

const OSSL_ALGORITHM provider_decoders[] = {
    MLDSA_DECODERS(STRUCTURE),
    {"DER", PEM_INPUT, pem_functions, NULL},
    OTHER_DECODERS(STRUCTURE),
    {NULL, NULL, NULL, NULL},
};

const OSSL_ALGORITHM provider_spki_decoders[] = {
    MLDSA_DECODERS("SubjectPublicKeyInfo"),
    OTHER_DECODERS("SubjectPublicKeyInfo"),
    {NULL, NULL, NULL, NULL},
};
