#include "keyd/keys/envelope.h"

#include <openssl/asn1t.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "wire/limits.h"

/* The traditional form of an EC key (RFC 5915), for the name of its curve. */
typedef struct {
    ASN1_INTEGER *version;
    ASN1_OCTET_STRING *number;
    ASN1_OBJECT *curve;
    ASN1_BIT_STRING *point;
} EC_FORM;

ASN1_SEQUENCE(EC_FORM) = {ASN1_SIMPLE(EC_FORM, version, ASN1_INTEGER),
                          ASN1_SIMPLE(EC_FORM, number, ASN1_OCTET_STRING),
                          ASN1_EXP_OPT(EC_FORM, curve, ASN1_OBJECT, 0),
                          ASN1_EXP_OPT(EC_FORM, point, ASN1_BIT_STRING,
                                       1)} static_ASN1_SEQUENCE_END(EC_FORM)

    static bool refuse(char *reason, size_t size, const char *text)
{
    snprintf(reason, size, "%s", text);
    return false;
}

/* ---- the algorithm ---- */

static bool identify_curve(struct envelope *envelope, const ASN1_OBJECT *curve)
{
    static const struct {
        int number, bits;
    } curves[] = {{NID_X9_62_prime256v1, 256}, {NID_secp384r1, 384}, {NID_secp521r1, 521}};
    envelope->type = WIRE_KEY_EC;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (OBJ_obj2nid(curve) == curves[i].number)
            envelope->bits = curves[i].bits;
    return envelope->bits != 0;
}

/* `bytes` is an RSAPrivateKey (RFC 8017, appendix A.1.2): its second number is the modulus. */
static bool identify_rsa(struct envelope *envelope, enum wire_key_type type, const uint8_t *bytes,
                         size_t length)
{
    ASN1_SEQUENCE_ANY *numbers = d2i_ASN1_SEQUENCE_ANY(NULL, &bytes, (long)length);
    const ASN1_TYPE *modulus =
        numbers != NULL && sk_ASN1_TYPE_num(numbers) > 1 ? sk_ASN1_TYPE_value(numbers, 1) : NULL;
    BIGNUM *number = modulus != NULL && modulus->type == V_ASN1_INTEGER
                         ? ASN1_INTEGER_to_BN(modulus->value.integer, NULL)
                         : NULL;
    envelope->type = type;
    envelope->bits = number != NULL ? BN_num_bits(number) : 0;
    BN_free(number);
    sk_ASN1_TYPE_pop_free(numbers, ASN1_TYPE_free);
    return envelope->bits >= WIRE_RSA_BITS_MIN && envelope->bits <= WIRE_RSA_BITS_MAX;
}

/* Those whose algorithm says all. libcrypto may lack ML-DSA, and then does not know its names. */
static bool identify_whole(struct envelope *envelope, int algorithm)
{
    static const struct {
        const char *name;
        enum wire_key_type type;
    } types[] = {{"ED25519", WIRE_KEY_ED25519},
                 {"id-ml-dsa-44", WIRE_KEY_MLDSA44},
                 {"id-ml-dsa-65", WIRE_KEY_MLDSA65},
                 {"id-ml-dsa-87", WIRE_KEY_MLDSA87}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        int number = OBJ_sn2nid(types[i].name);
        if (number != NID_undef && number == algorithm) {
            envelope->type = types[i].type;
            return true;
        }
    }
    return false;
}

static bool identify_pkcs8(struct envelope *envelope, const PKCS8_PRIV_KEY_INFO *info)
{
    const uint8_t *bytes;
    const X509_ALGOR *algorithm;
    const ASN1_OBJECT *name;
    const void *parameter;
    int length, type;
    if (PKCS8_pkey_get0(NULL, &bytes, &length, &algorithm, info) != 1)
        return false;
    X509_ALGOR_get0(&name, &type, &parameter, algorithm);
    switch (OBJ_obj2nid(name)) {
    case NID_rsaEncryption:
        return identify_rsa(envelope, WIRE_KEY_RSA, bytes, (size_t)length);
    case NID_rsassaPss:
        return identify_rsa(envelope, WIRE_KEY_RSA_PSS, bytes, (size_t)length);
    case NID_X9_62_id_ecPublicKey:
        return type == V_ASN1_OBJECT && identify_curve(envelope, parameter);
    default:
        return identify_whole(envelope, OBJ_obj2nid(name));
    }
}

/* ---- the forms ---- */

static bool take_rsa(struct envelope *envelope)
{
    return identify_rsa(envelope, WIRE_KEY_RSA, envelope->der, envelope->length);
}

static bool take_ec(struct envelope *envelope)
{
    const uint8_t *bytes = envelope->der;
    EC_FORM *form =
        (EC_FORM *)ASN1_item_d2i(NULL, &bytes, (long)envelope->length, ASN1_ITEM_rptr(EC_FORM));
    bool good = form != NULL && form->curve != NULL && identify_curve(envelope, form->curve);
    if (form != NULL)
        OPENSSL_cleanse(form->number->data, (size_t)form->number->length);
    ASN1_item_free((ASN1_VALUE *)form, ASN1_ITEM_rptr(EC_FORM));
    return good;
}

static bool take_pkcs8(struct envelope *envelope)
{
    const uint8_t *bytes = envelope->der;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &bytes, (long)envelope->length);
    bool good = info != NULL && identify_pkcs8(envelope, info);
    PKCS8_PRIV_KEY_INFO_free(info); /* it wipes the key */
    return good;
}

static const struct form {
    const char *label;
    bool (*take)(struct envelope *envelope);
} forms[] = {{PEM_STRING_PKCS8INF, take_pkcs8},
             {PEM_STRING_ECPRIVATEKEY, take_ec},
             {PEM_STRING_RSA, take_rsa}};

static const struct form *find_form(const char *label)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (strcmp(forms[i].label, label) == 0)
            return &forms[i];
    return NULL;
}

/* ---- PEM ---- */

static int give_pass_phrase(char *buffer, int size, int writing, void *arg)
{
    (void)writing;
    const struct secret *phrase = arg;
    if (phrase == NULL || phrase->length > (size_t)size)
        return -1;
    memcpy(buffer, phrase->bytes, phrase->length);
    return (int)phrase->length;
}

/* Replaces the DER of an EncryptedPrivateKeyInfo (RFC 5958) by what is inside. */
static bool decrypt(struct envelope *envelope, const struct secret *phrase)
{
    const uint8_t *bytes = envelope->der;
    X509_SIG *encrypted = d2i_X509_SIG(NULL, &bytes, (long)envelope->length);
    PKCS8_PRIV_KEY_INFO *info =
        encrypted != NULL && phrase != NULL
            ? PKCS8_decrypt(encrypted, (const char *)phrase->bytes, (int)phrase->length)
            : NULL;
    uint8_t *der = NULL;
    int length = info != NULL ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : 0;
    PKCS8_PRIV_KEY_INFO_free(info);
    X509_SIG_free(encrypted);
    if (length <= 0)
        return false;
    envelope_close(envelope);
    envelope->der = der;
    envelope->length = (size_t)length;
    return true;
}

static bool open_text(struct envelope *envelope, BIO *text, const struct secret *phrase,
                      char *reason, size_t size)
{
    char *label = NULL;
    long length;
    if (PEM_bytes_read_bio(&envelope->der, &length, &label, PEM_STRING_EVP_PKEY, text,
                           give_pass_phrase, (void *)phrase) != 1)
        return refuse(reason, size,
                      ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE
                          ? "it holds no private key in PEM form"
                          : "its private key cannot be read: it is damaged, or encrypted, and the "
                            "pass phrase is wrong");
    envelope->length = (size_t)length;
    bool encrypted = strcmp(label, PEM_STRING_PKCS8) == 0;
    const struct form *form = find_form(encrypted ? PEM_STRING_PKCS8INF : label);
    OPENSSL_free(label);
    if (encrypted && !decrypt(envelope, phrase))
        return refuse(reason, size,
                      phrase == NULL ? "the key is encrypted, and no pass-phrase-file is given"
                                     : "the key cannot be decrypted with the pass phrase");
    return (form != NULL && form->take(envelope)) ||
           refuse(reason, size,
                  "its key is damaged, or none of those that are taken: RSA of 2048 to 8192 bits, "
                  "EC on P-256, P-384 or P-521, Ed25519, ML-DSA");
}

bool envelope_open(struct envelope *envelope, const struct secret *text,
                   const struct secret *pass_phrase, char *reason, size_t size)
{
    *envelope = (struct envelope){.der = NULL};
    BIO *bio = BIO_new_mem_buf(text->bytes, (int)text->length);
    bool good = bio != NULL ? open_text(envelope, bio, pass_phrase, reason, size)
                            : refuse(reason, size, "out of memory");
    BIO_free(bio);
    ERR_clear_error();
    if (!good)
        envelope_close(envelope);
    return good;
}

void envelope_close(struct envelope *envelope)
{
    OPENSSL_clear_free(envelope->der, envelope->length);
    envelope->der = NULL;
    envelope->length = 0;
}
