/*
 * The known-answer tests of the driver `multibuffer`: each algorithm in each lane, against
 * published vectors where there are any, else against libcrypto. The verification in lanes must
 * accept good signatures in all lanes, and refuse a bad one in its lane only.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/driver/multibuffer/ecdsa.h"
#include "keyd/sign/contexts.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MESSAGE_MAX 1024

static bool hex_decode(const char *hex, uint8_t *bytes, size_t size, size_t *length)
{
    return OPENSSL_hexstr2buf_ex(bytes, size, length, hex, '\0') == 1;
}

static bool lane_alone_bad(multibuffer_status status, size_t bad)
{
    bool alone = true;
    for (size_t lane = 0; lane < LANES; lane++)
        alone &= multibuffer_lane_good(status, lane) == (lane != bad);
    return alone;
}

/* Primes that belong to nobody's key. libcrypto verifies the signatures that are made with them. */
static const struct {
    int bits;
    const char *p, *q;
} rsa_primes[] = {
    {2048,
     "d75c45aafa884886d70ab5ba5c735c1ca666320311e110f8043e8c9408fed5b0c1cc766b6f4994dcb88d"
     "e630d970c29cf429e93230c670e714c680241a72e02c1250bb86ab543114a97c495a0cd393db65076ffa"
     "c2f389975f718769f9ab3150574eee140491f8f89a9353b49010f60f42c821f9765ffe4c2a8a497a96bd"
     "e335",
     "bf8d542161d7a49c15d0d89d3f1b0c5edc5dfebabf29ba939cb332d08e1887f27bb4423caeb2ff9639d2"
     "f823c3c402d382e79bd8738a0b1d2a96cc858d3b231396be7a1f1e33efd4e78c218033c20b4bde1e4a78"
     "30894efd852357c23c74ddfc191fb810e637513c965ab51308157b1f494d229de5cf7b62da718e8115e0"
     "667f"},
    {3072,
     "e2281c1ac63a345796b480be38461bc4006f44541e5cd70f54d07a76ed7bc80de45d63bbb471170ebc86"
     "31a2ebfb6c5abf3a42fe7347a3fef5c60b4e0777c8afc06abfce60e2d70c7bb12cb16c296a817373b13a"
     "db4e6510d30c2d41ef9f549f885640c1588a2b4b999ca8b316fd9556386773cd4c9a9c7d862019efdb8c"
     "f3bb0159590d504063d88b03aaaacda17186bc079e1ced4e566f87411e6bac5a722ff3ffac96c1232a85"
     "7424893b75715b9630433440f8fa911d53328d8f380dc8ad",
     "b9cb40db230c483cc4264f654272753da22b3ce7917cd6226861a1e0008e68ca5b4ca4438cf69b71e980"
     "1ec7b8291fd09d4b65a8509b876448c7b49e7a2b0f6179c05acf057ad36c4051e2571af676954b1469b2"
     "915e44e5daa3b60f0390941ce78a3ff1e602827b7694355cb2f4aad51b23d433530644812e89a9babf06"
     "fa07862d223e5c49f385e4d58bcb12f61fd4485b8f1e5cec0d76c673b0a40669d473d9141a9e3c9d5170"
     "6e6522bc3da7394b622a9141090ff4688001f7322a799b09"},
    {4096,
     "fa591264b231924ff149ab49bbed5a00b0a825076b2a6e70c13cb688ec3fb196f0e92b4f7ece110b6831"
     "7e5b6dd393d657c8f494da8fe1fbdbe1ccf241500f77783d2325b7e6816df0c2b0222c09bd16d1a7dbf5"
     "2f0e088d9c5b5180bd38751c4fa5cc8dd19ce5292dbb6a6633547952db7de033b5490981ef02c41b41c8"
     "0f7fee5a296fab505fd75deb0220f63679a55078d9dab68d2655b9d86e88bab1d947fa6e8ce73f75177a"
     "7d7f53ba90a783e53d692b72fbaf89c3f148d5a5e3fcda127fe1bb565f7214003c7f6bf71e77b036583b"
     "573d51e442d91b26690d3310c146a8ece65d0a0b2b0a0d65aca763473649101e12db4af7d8dd61d50b8f"
     "dc7f5d33",
     "ca442d5222b932fbdc59c3f1d51085d7db1f132c2267b27748a77c3743bf523d4f4592d6eb57f8c25510"
     "62a021519b267dc7619b1667ed13bbacc93056f3dd327df7f579007e65d9aca8b1b053018fe62f93d022"
     "19b36b1b2a85c0fa7f4e77797bc0ca15335ad5aa430fdf51dc0567ac011b2bb996e345339661c5a3924f"
     "bcca143fe476222754865a1cf0221aaa5962eb7011f2f705957181a1b896d9d41a017ad4aaac152e5a10"
     "159aeec07a0d14fabd7cc23d3e16e53b34cbaa47790817a47ab9efb6325599e7da106427f02521b4bad0"
     "da84ca91d3129fbbe02debc72c7e09337e8bf345833b921a9b7bbd303451127f6613830cc01cb1ff1bb1"
     "2eb2655f"}};

/* The numbers of an RSA key, computed from its primes and e = 65537. */
struct rsa_numbers {
    BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *iq;
};
#define RSA_NUMBERS (sizeof(struct rsa_numbers) / sizeof(BIGNUM *))
static const char *const rsa_names[RSA_NUMBERS] = {
    OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,           OSSL_PKEY_PARAM_RSA_D,
    OSSL_PKEY_PARAM_RSA_FACTOR1,   OSSL_PKEY_PARAM_RSA_FACTOR2,     OSSL_PKEY_PARAM_RSA_EXPONENT1,
    OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};

static bool rsa_complete(struct rsa_numbers *numbers, BN_CTX *context)
{
    BIGNUM *p1 = BN_dup(numbers->p), *q1 = BN_dup(numbers->q), *order = BN_new();
    bool good = p1 != NULL && q1 != NULL && order != NULL && BN_sub_word(p1, 1) == 1 &&
                BN_sub_word(q1, 1) == 1 && BN_mul(order, p1, q1, context) == 1 &&
                BN_set_word(numbers->e, 65537) == 1 &&
                BN_mul(numbers->n, numbers->p, numbers->q, context) == 1 &&
                BN_mod_inverse(numbers->d, numbers->e, order, context) != NULL &&
                BN_mod(numbers->dp, numbers->d, p1, context) == 1 &&
                BN_mod(numbers->dq, numbers->d, q1, context) == 1 &&
                BN_mod_inverse(numbers->iq, numbers->q, numbers->p, context) != NULL;
    BN_free(p1);
    BN_free(q1);
    BN_free(order);
    return good;
}

static EVP_PKEY *rsa_from_numbers(BIGNUM *const *numbers)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM *parameters = NULL;
    EVP_PKEY *pair = NULL;
    bool good = builder != NULL && context != NULL;
    for (size_t i = 0; good && i < RSA_NUMBERS; i++)
        good = OSSL_PARAM_BLD_push_BN(builder, rsa_names[i], numbers[i]) == 1;
    if (good && (parameters = OSSL_PARAM_BLD_to_param(builder)) != NULL &&
        EVP_PKEY_fromdata_init(context) == 1)
        EVP_PKEY_fromdata(context, &pair, EVP_PKEY_KEYPAIR, parameters);
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(context);
    return pair;
}

static EVP_PKEY *rsa_pair(int bits)
{
    size_t row = 0;
    while (rsa_primes[row].bits != bits)
        row++;
    union {
        struct rsa_numbers by_name;
        BIGNUM *all[RSA_NUMBERS];
    } numbers;
    BN_CTX *context = BN_CTX_new();
    bool good = context != NULL;
    for (size_t i = 0; i < RSA_NUMBERS; i++)
        good &= (numbers.all[i] = BN_new()) != NULL;
    EVP_PKEY *pair = NULL;
    if (good && BN_hex2bn(&numbers.by_name.p, rsa_primes[row].p) > 0 &&
        BN_hex2bn(&numbers.by_name.q, rsa_primes[row].q) > 0 &&
        rsa_complete(&numbers.by_name, context))
        pair = rsa_from_numbers(numbers.all);
    for (size_t i = 0; i < RSA_NUMBERS; i++)
        BN_free(numbers.all[i]);
    BN_CTX_free(context);
    return pair;
}

/* Uses as many schemes of RSA as there are lanes, and a different digest for each job. */
static bool rsa_batch(struct lanes_thread *thread, const struct lanes_algorithm *algorithm,
                      const struct key *key, struct contexts *verifier, size_t count)
{
    static const uint16_t schemes[] = {IMMURE_RSA_PKCS1_SHA256,    IMMURE_RSA_PKCS1_SHA384,
                                       IMMURE_RSA_PKCS1_SHA512,    IMMURE_RSA_PSS_RSAE_SHA256,
                                       IMMURE_RSA_PSS_RSAE_SHA384, IMMURE_RSA_PSS_RSAE_SHA512};
    uint8_t signatures[LANES][RSA_BYTES_MAX];
    struct job jobs[LANES], *batch[LANES];
    for (size_t lane = 0; lane < LANES; lane++) {
        const struct wire_scheme *scheme = wire_scheme_find(schemes[lane % COUNT(schemes)]);
        jobs[lane] = (struct job){.key = key,
                                  .scheme = scheme,
                                  .digest = {(uint8_t)lane},
                                  .digest_length = 32 + 16 * (lane % COUNT(schemes) % 3),
                                  .result = signatures[lane]};
        batch[lane] = &jobs[lane];
    }
    algorithm->sign(thread, batch, count);
    bool good = true;
    for (size_t lane = 0; lane < count && good; lane++) {
        EVP_PKEY_CTX *context = contexts_get(verifier, key, jobs[lane].scheme);
        good = context != NULL && jobs[lane].error == IMMURE_OK &&
               EVP_PKEY_verify(context, jobs[lane].result, jobs[lane].result_length,
                               jobs[lane].digest, jobs[lane].digest_length) == 1;
    }
    return good;
}

bool rsa_known_answers(struct lanes_thread *thread, const struct lanes_algorithm *algorithm)
{
    struct key key = {.type = WIRE_KEY_RSA,
                      .bits = algorithm->bits,
                      .signature_max = (size_t)algorithm->bits / 8,
                      .pair = rsa_pair(algorithm->bits)};
    struct contexts *verifier = contexts_new(CONTEXTS_VERIFY);
    bool good =
        key.pair != NULL && verifier != NULL && key_copy_public(&key, NULL) &&
        lanes_key_prepare(algorithm, &key) && rsa_batch(thread, algorithm, &key, verifier, LANES) &&
        rsa_batch(thread, algorithm, &key, verifier, halves_serve(&key) ? HALVES_MAX : LANES);
    key_release(&key);
    contexts_free(verifier);
    key_free_halves(&key);
    return good;
}

/* RFC 6979, sections A.2.5 and A.2.6: the messages "sample" and "test". */
static const struct ecdsa_answer {
    int bits;
    const char *message, *private_key, *nonce, *r, *s;
} ecdsa_answers[] = {
    {256, "sample", "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721",
     "A6E3C57DD01ABE90086538398355DD4C3B17AA873382B0F24D6129493D8AAD60",
     "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
     "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"},
    {256, "test", "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721",
     "D16B6AE827F17175E040871A1C7EC3500192C4C92677336EC2537ACAEE0008E0",
     "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
     "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083"},
    {384, "sample",
     "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D8"
     "96D5724E4C70A825F872C9EA60D2EDF5",
     "94ED910D1A099DAD3254E9242AE85ABDE4BA15168EAF0CA87A555FD56D10FBCA"
     "2907E3E83BA95368623B8C4686915CF9",
     "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C"
     "81A648152E44ACF96E36DD1E80FABE46",
     "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94F"
     "A329C145786E679E7B82C71A38628AC8"},
    {384, "test",
     "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D8"
     "96D5724E4C70A825F872C9EA60D2EDF5",
     "015EE46A5BF88773ED9123A5AB0807962D193719503C527B031B4C2D225092AD"
     "A71F4A459BC0DA98ADB95837DB8312EA",
     "8203B63D3C853E8D77227FB377BCF7B7B772E97892A80F36AB775D509D7A5FEB"
     "0542A7F0812998DA8F1DD3CA3CF023DB",
     "DDD0760448D42D8A43AF45AF836FCE4DE8BE06B485E9B61B827C2F13173923E0"
     "6A739F040649A667BF3B828246BAA5A5"},
};

struct ecdsa_example {
    uint8_t digest[EC_BYTES_MAX], r[EC_BYTES_MAX], s[EC_BYTES_MAX];
    uint64_t private_key[EC_LIMBS_MAX], nonce[EC_LIMBS_MAX];
};

static bool decode_limbs(const char *hex, uint64_t *limbs, size_t bytes)
{
    BIGNUM *number = NULL;
    bool good = BN_hex2bn(&number, hex) > 0 &&
                BN_bn2lebinpad(number, (uint8_t *)limbs, (int)bytes) == (int)bytes;
    BN_free(number);
    return good;
}

static bool ecdsa_decode(const struct ecdsa_answer *answer, struct ecdsa_example *example)
{
    size_t bytes = (size_t)answer->bits / 8, length;
    const char *hash = answer->bits == 256 ? "SHA256" : "SHA384";
    return EVP_Q_digest(NULL, hash, NULL, answer->message, strlen(answer->message), example->digest,
                        NULL) == 1 &&
           decode_limbs(answer->private_key, example->private_key, bytes) &&
           decode_limbs(answer->nonce, example->nonce, bytes) &&
           hex_decode(answer->r, example->r, sizeof example->r, &length) && length == bytes &&
           hex_decode(answer->s, example->s, sizeof example->s, &length) && length == bytes;
}

/* The two examples alternate from lane to lane, beginning with `first`. */
static bool ecdsa_batch(multibuffer_ecdsa_sign *sign, const struct ecdsa_example *examples,
                        size_t first, size_t bytes)
{
    uint8_t made_r[LANES][EC_BYTES_MAX], made_s[LANES][EC_BYTES_MAX];
    const uint8_t *digest[LANES];
    const uint64_t *nonce[LANES], *private_key[LANES];
    uint8_t *r[LANES], *s[LANES];
    for (size_t lane = 0; lane < LANES; lane++) {
        const struct ecdsa_example *example = &examples[(lane + first) % 2];
        digest[lane] = example->digest;
        nonce[lane] = example->nonce;
        private_key[lane] = example->private_key;
        r[lane] = made_r[lane];
        s[lane] = made_s[lane];
    }
    bool good = sign(r, s, digest, nonce, private_key, NULL) == 0;
    for (size_t lane = 0; lane < LANES; lane++) {
        const struct ecdsa_example *example = &examples[(lane + first) % 2];
        good &= memcmp(made_r[lane], example->r, bytes) == 0 &&
                memcmp(made_s[lane], example->s, bytes) == 0;
    }
    return good;
}

/* The public key that both examples on P-384 share. */
static bool p384_public(const char *private_key, uint64_t *x, uint64_t *y)
{
    BN_CTX *context = BN_CTX_new();
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_secp384r1);
    EC_POINT *point = group != NULL ? EC_POINT_new(group) : NULL;
    BIGNUM *scalar = NULL, *first = BN_new(), *second = BN_new();
    bool good = context != NULL && point != NULL && first != NULL && second != NULL &&
                BN_hex2bn(&scalar, private_key) > 0 &&
                EC_POINT_mul(group, point, scalar, NULL, NULL, context) == 1 &&
                EC_POINT_get_affine_coordinates(group, point, first, second, context) == 1 &&
                BN_bn2lebinpad(first, (uint8_t *)x, EC_BYTES_MAX) > 0 &&
                BN_bn2lebinpad(second, (uint8_t *)y, EC_BYTES_MAX) > 0;
    BN_free(scalar);
    BN_free(first);
    BN_free(second);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    BN_CTX_free(context);
    return good;
}

/* Flips a bit in one lane after another, each time of another input. */
static bool p384_verifies(struct lanes_thread *thread, const struct ecdsa_example *examples)
{
    union lanes_work *work = thread->work;
    uint64_t x[EC_LIMBS_MAX], y[EC_LIMBS_MAX];
    bool good = p384_public(ecdsa_answers[COUNT(ecdsa_answers) - 1].private_key, x, y);
    for (size_t lane = 0; lane < LANES; lane++) {
        const struct ecdsa_example *example = &examples[lane % 2];
        memcpy(work->ecdsa.r[lane], example->r, EC_BYTES_MAX);
        memcpy(work->ecdsa.s[lane], example->s, EC_BYTES_MAX);
        memcpy(work->ecdsa.digest[lane], example->digest, EC_BYTES_MAX);
        memcpy(work->ecdsa.x[lane], x, EC_BYTES_MAX);
        memcpy(work->ecdsa.y[lane], y, EC_BYTES_MAX);
    }
    good &= ecdsa_verify_p384(thread->library, work, LANES) == 0;
    for (size_t lane = 0; lane < LANES; lane++) {
        uint8_t *const read[] = {work->ecdsa.r[lane], work->ecdsa.s[lane], work->ecdsa.digest[lane],
                                 (uint8_t *)work->ecdsa.x[lane], (uint8_t *)work->ecdsa.y[lane]};
        uint8_t *byte = &read[lane % COUNT(read)][EC_BYTES_MAX / 2];
        *byte ^= 4;
        good &= lane_alone_bad(ecdsa_verify_p384(thread->library, work, LANES), lane);
        *byte ^= 4;
    }
    memset(&work->ecdsa, 0, sizeof work->ecdsa);
    return good;
}

bool ecdsa_known_answers(struct lanes_thread *thread, const struct lanes_algorithm *algorithm)
{
    multibuffer_ecdsa_sign *sign =
        algorithm->bits == 256 ? thread->library->p256_sign : thread->library->p384_sign;
    size_t bytes = (size_t)algorithm->bits / 8, count = 0;
    struct ecdsa_example examples[2];
    for (size_t i = 0; i < COUNT(ecdsa_answers); i++)
        if (ecdsa_answers[i].bits == algorithm->bits &&
            !ecdsa_decode(&ecdsa_answers[i], &examples[count++]))
            return false;
    return ecdsa_batch(sign, examples, 0, bytes) && ecdsa_batch(sign, examples, 1, bytes) &&
           (algorithm->bits == 256 || p384_verifies(thread, examples));
}

/* RFC 8032, section 7.1: tests 1 to 3 and the last. */
static const struct {
    const char *private_key, *message, *signature;
} ed25519_answers[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
     "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"},
};
#define ED25519_ANSWERS COUNT(ed25519_answers)

struct ed25519_example {
    struct key key;
    uint8_t message[MESSAGE_MAX], signature[2 * ED25519_BYTES];
    size_t message_length;
};

static bool ed25519_decode(const struct lanes_algorithm *algorithm, struct ed25519_example *example,
                           size_t row)
{
    uint8_t private[ED25519_BYTES];
    size_t length;
    *example = (struct ed25519_example){
        .key = {.type = WIRE_KEY_ED25519, .signature_max = sizeof example->signature}};
    if (!hex_decode(ed25519_answers[row].private_key, private, sizeof private, &length) ||
        !hex_decode(ed25519_answers[row].signature, example->signature, sizeof example->signature,
                    &length) ||
        (ed25519_answers[row].message[0] != '\0' &&
         !hex_decode(ed25519_answers[row].message, example->message, sizeof example->message,
                     &example->message_length)))
        return false;
    example->key.pair =
        EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, private, sizeof private);
    return example->key.pair != NULL && key_copy_public(&example->key, NULL) &&
           lanes_key_prepare(algorithm, &example->key);
}

static void ed25519_free(struct ed25519_example *example)
{
    key_release(&example->key);
    key_free_halves(&example->key);
}

/* The same keys with messages of about one block of SHA-512 and more; libcrypto gives the answer.
 */
static bool ed25519_lengthen(struct ed25519_example *example, size_t length)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t written = sizeof example->signature;
    memset(example->message, (int)length, length);
    example->message_length = length;
    bool good =
        context != NULL && EVP_DigestSignInit(context, NULL, NULL, NULL, example->key.pair) == 1 &&
        EVP_DigestSign(context, example->signature, &written, example->message, length) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

/* Flips a bit in one lane after another, in either half of the signature. */
static bool ed25519_verifies(const struct multibuffer_library *library, struct job *const *batch)
{
    bool good = ed25519_verify(library, batch, LANES) == 0;
    for (size_t lane = 0; lane < LANES; lane++) {
        uint8_t *byte = &batch[lane]->result[lane % 2 * ED25519_BYTES + lane];
        *byte ^= 4;
        good &= lane_alone_bad(ed25519_verify(library, batch, LANES), lane);
        *byte ^= 4;
    }
    return good;
}

static bool ed25519_batch(struct lanes_thread *thread, const struct lanes_algorithm *algorithm,
                          const struct ed25519_example *examples, size_t first)
{
    uint8_t signatures[LANES][2 * ED25519_BYTES];
    struct job jobs[LANES], *batch[LANES];
    for (size_t lane = 0; lane < LANES; lane++) {
        const struct ed25519_example *example = &examples[(lane + first) % ED25519_ANSWERS];
        jobs[lane] = (struct job){.key = &example->key,
                                  .message = example->message,
                                  .message_length = example->message_length,
                                  .result = signatures[lane]};
        batch[lane] = &jobs[lane];
    }
    algorithm->sign(thread, batch, LANES);
    bool good = true;
    for (size_t lane = 0; lane < LANES; lane++)
        good &= jobs[lane].error == IMMURE_OK &&
                memcmp(signatures[lane], examples[(lane + first) % ED25519_ANSWERS].signature,
                       sizeof signatures[lane]) == 0;
    return good && (first > 0 || ed25519_verifies(thread->library, batch));
}

static bool ed25519_batches(struct lanes_thread *thread, const struct lanes_algorithm *algorithm,
                            const struct ed25519_example *examples)
{
    bool good = true;
    for (size_t first = 0; first < ED25519_ANSWERS; first++)
        good &= ed25519_batch(thread, algorithm, examples, first);
    return good;
}

bool ed25519_known_answers(struct lanes_thread *thread, const struct lanes_algorithm *algorithm)
{
    static const size_t lengths[ED25519_ANSWERS] = {111, 112, 146, MESSAGE_MAX - 1};
    struct ed25519_example examples[ED25519_ANSWERS];
    bool good = true;
    for (size_t row = 0; row < ED25519_ANSWERS; row++)
        good &= ed25519_decode(algorithm, &examples[row], row);
    good = good && ed25519_batches(thread, algorithm, examples);
    for (size_t row = 0; row < ED25519_ANSWERS; row++)
        good = good && ed25519_lengthen(&examples[row], lengths[row]);
    good = good && ed25519_batches(thread, algorithm, examples);
    for (size_t row = 0; row < ED25519_ANSWERS; row++)
        ed25519_free(&examples[row]);
    return good;
}
