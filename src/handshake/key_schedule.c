#include "handshake/key_schedule.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "handshake/instance.h"

#define LABEL_MAX 255 /* prefix and label together; RFC 8446, section 7.1 */
#define CONTEXT_MAX 255
#define EXPANSIONS_MAX 255 /* RFC 5869, section 2.3 */
#define PARTS_MAX 3        /* of the input of HMAC: the previous block, info, the block's number */

struct part {
    const uint8_t *bytes;
    size_t length;
};

/* ---- HKDF ---- */

/* Finishes the digest and restarts it, so that no secret remains in the context. */
static bool finish(const struct key_schedule_hash *hash, uint8_t *out)
{
    bool good = EVP_DigestFinal_ex(hash->running, out, NULL);
    return EVP_DigestInit_ex2(hash->running, NULL, NULL) && good;
}

static bool digest(const struct key_schedule_hash *hash, const struct part *parts, size_t count,
                   uint8_t *out)
{
    bool good = true;
    for (size_t i = 0; good && i < count; i++)
        good = parts[i].length == 0 ||
               EVP_DigestUpdate(hash->running, parts[i].bytes, parts[i].length);
    return finish(hash, out) && good;
}

/* RFC 2104. Not EVP_MAC, which copies three digest contexts for each of these short inputs. */
static bool hmac(const struct key_schedule_hash *hash, struct part key, const struct part *parts,
                 size_t count, uint8_t *out)
{
    uint8_t pad[KEY_SCHEDULE_BLOCK_MAX] = {0};
    struct part inner[1 + PARTS_MAX] = {{pad, hash->block}};
    const struct part outer[] = {{pad, hash->block}, {out, hash->size}};
    bool good = true;
    memcpy(inner + 1, parts, count * sizeof *parts);
    if (key.length > hash->block)
        good = digest(hash, &key, 1, pad);
    else if (key.length > 0)
        memcpy(pad, key.bytes, key.length);
    for (size_t i = 0; i < hash->block; i++)
        pad[i] ^= 0x36;
    good = good && digest(hash, inner, 1 + count, out);
    for (size_t i = 0; i < hash->block; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    good = good && digest(hash, outer, 2, out);
    OPENSSL_cleanse(pad, sizeof pad);
    return good;
}

static bool hkdf_expand(const struct key_schedule_hash *hash, struct part secret, struct part info,
                        uint8_t *out, size_t length)
{
    uint8_t block[KEY_SCHEDULE_SIZE_MAX];
    bool good = length > 0 && length <= EXPANSIONS_MAX * hash->size;
    for (size_t done = 0, i = 1; good && done < length; i++) {
        uint8_t number = (uint8_t)i;
        struct part parts[] = {{block, i > 1 ? hash->size : 0}, info, {&number, 1}};
        good = hmac(hash, secret, parts, sizeof parts / sizeof *parts, block);
        size_t taken = length - done < hash->size ? length - done : hash->size;
        memcpy(out + done, block, taken);
        done += taken;
    }
    OPENSSL_cleanse(block, sizeof block);
    return good;
}

/* HKDF-Expand-Label with the struct HkdfLabel written out. */
static bool expand_label(const struct key_schedule_hash *hash, struct part secret,
                         struct part prefix, struct part label, struct part context, uint8_t *out,
                         size_t length)
{
    uint8_t info[2 + 1 + LABEL_MAX + 1 + CONTEXT_MAX];
    size_t end = 0;
    if (length > UINT16_MAX || prefix.length > LABEL_MAX ||
        label.length > LABEL_MAX - prefix.length || context.length > CONTEXT_MAX)
        return false;
    info[end++] = (uint8_t)(length >> 8);
    info[end++] = (uint8_t)length;
    info[end++] = (uint8_t)(prefix.length + label.length);
    const struct part texts[] = {prefix, label, {&(uint8_t){(uint8_t)context.length}, 1}, context};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i].length > 0)
            memcpy(info + end, texts[i].bytes, texts[i].length);
        end += texts[i].length;
    }
    return hkdf_expand(hash, secret, (struct part){info, end}, out, length);
}

/* The next secret, from the previous one, if any (`before`), and from new key material, if any
 * (`in`). */
static bool next_secret(const struct key_schedule_hash *hash, struct part before, struct part in,
                        struct part prefix, struct part label, uint8_t *out)
{
    static const uint8_t zeros[KEY_SCHEDULE_SIZE_MAX];
    uint8_t derived[KEY_SCHEDULE_SIZE_MAX];
    struct part salt = {derived, hash->size};
    bool good = true;
    if (in.bytes == NULL)
        in = (struct part){zeros, hash->size};
    bool plain = label.length == 7 && memcmp(label.bytes, "derived", 7) == 0 &&
                 prefix.length == 6 && memcmp(prefix.bytes, "tls13 ", 6) == 0;
    if (before.length == 0)
        salt = (struct part){zeros, 0};
    else if (plain && before.length == hash->size &&
             CRYPTO_memcmp(before.bytes, hash->early_secret, hash->size) == 0)
        salt.bytes = hash->early_derived;
    else
        good = expand_label(hash, before, prefix, label,
                            (struct part){hash->of_nothing, hash->size}, derived, hash->size);
    good = good && hmac(hash, salt, &in, 1, out);
    OPENSSL_cleanse(derived, sizeof derived);
    return good;
}

/* ---- digests ---- */

static bool hash_init(struct key_schedule_hash *hash, OSSL_LIB_CTX *context, const char *name)
{
    const struct part none = {NULL, 0};
    const struct part prefix = {(const uint8_t *)"tls13 ", 6};
    const struct part label = {(const uint8_t *)"derived", 7};
    hash->digest = EVP_MD_fetch(context, name, "provider=default");
    hash->running = EVP_MD_CTX_new();
    if (hash->digest == NULL || hash->running == NULL)
        return false;
    hash->size = (size_t)EVP_MD_get_size(hash->digest);
    hash->block = (size_t)EVP_MD_get_block_size(hash->digest);
    struct part early = {hash->early_secret, hash->size};
    struct part nothing = {hash->of_nothing, hash->size};
    return EVP_DigestInit_ex2(hash->running, hash->digest, NULL) &&
           finish(hash, hash->of_nothing) &&
           next_secret(hash, none, none, prefix, label, hash->early_secret) &&
           expand_label(hash, early, prefix, label, nothing, hash->early_derived, hash->size);
}

bool key_schedule_init(struct key_schedule_hash hashes[KEY_SCHEDULE_HASHES], OSSL_LIB_CTX *context)
{
    return hash_init(&hashes[0], context, "SHA2-256") && hash_init(&hashes[1], context, "SHA2-384");
}

void key_schedule_release(struct key_schedule_hash hashes[KEY_SCHEDULE_HASHES])
{
    for (size_t i = 0; i < KEY_SCHEDULE_HASHES; i++) {
        EVP_MD_CTX_free(hashes[i].running);
        EVP_MD_free(hashes[i].digest);
    }
}

/* ---- EVP_KDF ---- */

#define ROOM_SIZE 64 /* enough for the secrets, transcript hashes and labels of TLS */

/* The bytes of a parameter. More than ROOM_SIZE are allocated. */
struct field {
    bool given;
    size_t length;
    uint8_t *allocated;
    uint8_t room[ROOM_SIZE];
};

enum field_name { FIELD_KEY, FIELD_SALT, FIELD_PREFIX, FIELD_LABEL, FIELD_DATA, FIELD_COUNT };
/* The parameters that are not byte strings. */
enum { MEMBER_MODE = FIELD_COUNT, MEMBER_DIGEST };

struct key_schedule {
    struct fast_handshake *fast;
    const struct key_schedule_hash *hash;
    int mode; /* of EVP_KDF-HKDF(7); initially one that this KDF does not support */
    struct field fields[FIELD_COUNT];
};

static struct part field_part(const struct field *field)
{
    if (!field->given)
        return (struct part){NULL, 0};
    return (struct part){field->allocated != NULL ? field->allocated : field->room, field->length};
}

static void field_clear(struct field *field)
{
    OPENSSL_clear_free(field->allocated, field->length);
    OPENSSL_cleanse(field->room, field->allocated == NULL ? field->length : 0);
    field->allocated = NULL;
    field->length = 0;
    field->given = false;
}

static bool field_set(struct field *field, const void *bytes, size_t length)
{
    field_clear(field);
    if (length > ROOM_SIZE && (field->allocated = OPENSSL_malloc(length)) == NULL)
        return false;
    if (length > 0)
        memcpy(field->allocated != NULL ? field->allocated : field->room, bytes, length);
    field->length = length;
    field->given = true;
    return true;
}

static void *key_schedule_new(void *context)
{
    struct key_schedule *schedule = malloc(sizeof *schedule);
    if (schedule == NULL)
        return NULL;
    schedule->fast = context;
    schedule->hash = NULL;
    schedule->mode = EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        schedule->fields[i].given = false; /* `room` need not be zeroed, which would cost time */
        schedule->fields[i].length = 0;
        schedule->fields[i].allocated = NULL;
    }
    return schedule;
}

static void key_schedule_reset(void *arg)
{
    struct key_schedule *schedule = arg;
    for (size_t i = 0; i < FIELD_COUNT; i++)
        field_clear(&schedule->fields[i]);
    schedule->hash = NULL;
    schedule->mode = EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND;
}

static void key_schedule_free(void *schedule)
{
    if (schedule == NULL)
        return;
    key_schedule_reset(schedule);
    free(schedule);
}

static void *key_schedule_dup(void *arg)
{
    const struct key_schedule *from = arg;
    struct key_schedule *to = key_schedule_new(from->fast);
    if (to == NULL)
        return NULL;
    to->hash = from->hash;
    to->mode = from->mode;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        struct part part = field_part(&from->fields[i]);
        if (from->fields[i].given && !field_set(&to->fields[i], part.bytes, part.length)) {
            key_schedule_free(to);
            return NULL;
        }
    }
    return to;
}

static bool set_mode(struct key_schedule *schedule, const OSSL_PARAM *param)
{
    int mode;
    if (param->data_type == OSSL_PARAM_UTF8_STRING) {
        if (param->data == NULL)
            return false;
        if (OPENSSL_strcasecmp(param->data, "EXTRACT_ONLY") == 0)
            mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
        else if (OPENSSL_strcasecmp(param->data, "EXPAND_ONLY") == 0)
            mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
        else
            return false;
    } else if (!OSSL_PARAM_get_int(param, &mode) ||
               (mode != EVP_KDF_HKDF_MODE_EXTRACT_ONLY && mode != EVP_KDF_HKDF_MODE_EXPAND_ONLY)) {
        return false;
    }
    schedule->mode = mode;
    return true;
}

static bool set_digest(struct key_schedule *schedule, const OSSL_PARAM *param)
{
    struct key_schedule_hash *hashes = schedule->fast->hashes;
    if (param->data_type != OSSL_PARAM_UTF8_STRING || param->data == NULL)
        return false;
    /* Compares the name that libssl passes first: EVP_MD_is_a() looks it up in the table of
     * names. */
    for (size_t i = 0; i < KEY_SCHEDULE_HASHES; i++)
        if (strcmp(param->data, EVP_MD_get0_name(hashes[i].digest)) == 0) {
            schedule->hash = &hashes[i];
            return true;
        }
    for (size_t i = 0; i < KEY_SCHEDULE_HASHES; i++)
        if (EVP_MD_is_a(hashes[i].digest, param->data)) {
            schedule->hash = &hashes[i];
            return true;
        }
    return false;
}

static bool set_bytes(struct field *field, const OSSL_PARAM *param)
{
    return param->data_type == OSSL_PARAM_OCTET_STRING &&
           (param->data != NULL || param->data_size == 0) &&
           field_set(field, param->data, param->data_size);
}

static bool set_param(struct key_schedule *schedule, int member, const OSSL_PARAM *param)
{
    switch (member) {
    case MEMBER_MODE:
        return set_mode(schedule, param);
    case MEMBER_DIGEST:
        return set_digest(schedule, param);
    default:
        return set_bytes(&schedule->fields[member], param);
    }
}

/* The table is in the order in which libssl passes the parameters, and each search starts at the
 * successor of the last hit. So the first comparison usually succeeds. */
static int key_schedule_set_params(void *arg, const OSSL_PARAM params[])
{
    static const struct {
        const char *name;
        int member;
    } members[] = {
        {OSSL_KDF_PARAM_MODE, MEMBER_MODE},    {OSSL_KDF_PARAM_DIGEST, MEMBER_DIGEST},
        {OSSL_KDF_PARAM_KEY, FIELD_KEY},       {OSSL_KDF_PARAM_SALT, FIELD_SALT},
        {OSSL_KDF_PARAM_PREFIX, FIELD_PREFIX}, {OSSL_KDF_PARAM_LABEL, FIELD_LABEL},
        {OSSL_KDF_PARAM_DATA, FIELD_DATA},
    };
    const size_t count = sizeof members / sizeof *members;
    size_t next = 0;
    for (; params != NULL && params->key != NULL; params++) {
        size_t tried = 0;
        while (tried < count && strcmp(params->key, members[(next + tried) % count].name) != 0)
            tried++;
        if (tried == count)
            continue;
        next = (next + tried) % count;
        if (!set_param(arg, members[next].member, params))
            return 0;
        next++;
    }
    return 1;
}

static int key_schedule_derive(void *arg, unsigned char *out, size_t length,
                               const OSSL_PARAM params[])
{
    struct key_schedule *schedule = arg;
    if (!key_schedule_set_params(schedule, params) || schedule->hash == NULL)
        return 0;
    const struct part key = field_part(&schedule->fields[FIELD_KEY]);
    const struct part prefix = field_part(&schedule->fields[FIELD_PREFIX]);
    const struct part label = field_part(&schedule->fields[FIELD_LABEL]);
    switch (schedule->mode) {
    case EVP_KDF_HKDF_MODE_EXTRACT_ONLY:
        return length == schedule->hash->size &&
               next_secret(schedule->hash, field_part(&schedule->fields[FIELD_SALT]), key, prefix,
                           label, out);
    case EVP_KDF_HKDF_MODE_EXPAND_ONLY:
        return key.bytes != NULL &&
               expand_label(schedule->hash, key, prefix, label,
                            field_part(&schedule->fields[FIELD_DATA]), out, length);
    default:
        return 0;
    }
}

static const OSSL_PARAM *key_schedule_settable(void *schedule, void *context)
{
    static const OSSL_PARAM settable[] = {
        OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_MODE, NULL, 0),
        OSSL_PARAM_int(OSSL_KDF_PARAM_MODE, NULL),
        OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_PROPERTIES, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_PREFIX, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_LABEL, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_DATA, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)schedule;
    (void)context;
    return settable;
}

static const OSSL_PARAM *key_schedule_gettable(void *schedule, void *context)
{
    static const OSSL_PARAM gettable[] = {OSSL_PARAM_size_t(OSSL_KDF_PARAM_SIZE, NULL),
                                          OSSL_PARAM_END};
    (void)schedule;
    (void)context;
    return gettable;
}

/* As in OpenSSL's default provider: an extraction has the length of the digest, an expansion
 * any. */
static int key_schedule_get_params(void *arg, OSSL_PARAM params[])
{
    const struct key_schedule *schedule = arg;
    OSSL_PARAM *size = OSSL_PARAM_locate(params, OSSL_KDF_PARAM_SIZE);
    if (size == NULL)
        return -2;
    if (schedule->mode != EVP_KDF_HKDF_MODE_EXTRACT_ONLY)
        return OSSL_PARAM_set_size_t(size, SIZE_MAX);
    return schedule->hash != NULL && OSSL_PARAM_set_size_t(size, schedule->hash->size);
}

const OSSL_DISPATCH key_schedule_functions[] = {
    {OSSL_FUNC_KDF_NEWCTX, (provider_function)key_schedule_new},
    {OSSL_FUNC_KDF_DUPCTX, (provider_function)key_schedule_dup},
    {OSSL_FUNC_KDF_FREECTX, (provider_function)key_schedule_free},
    {OSSL_FUNC_KDF_RESET, (provider_function)key_schedule_reset},
    {OSSL_FUNC_KDF_DERIVE, (provider_function)key_schedule_derive},
    {OSSL_FUNC_KDF_SETTABLE_CTX_PARAMS, (provider_function)key_schedule_settable},
    {OSSL_FUNC_KDF_SET_CTX_PARAMS, (provider_function)key_schedule_set_params},
    {OSSL_FUNC_KDF_GETTABLE_CTX_PARAMS, (provider_function)key_schedule_gettable},
    {OSSL_FUNC_KDF_GET_CTX_PARAMS, (provider_function)key_schedule_get_params},
    {0, NULL},
};
