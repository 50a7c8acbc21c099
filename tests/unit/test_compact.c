/* Compact keys: what their files say, the memory that they are packed into, the set of them, and
 * their use. */
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
#include <sys/mman.h>
#include <unistd.h>

#include "keyd/keys/compact.h"
#include "keyd/keys/files.h"
#include "keyd/keys/key_records.h"
#include "keyd/keys/packed.h"
#include "keyd/keys/pem.h"
#include "keyd/sign/opener.h"

#include "arena_fixture.h"

/* ---- envelopes ---- */

static const struct kind {
    const char *type, *curve;
    size_t bits;
    enum wire_key_type key_type;
    int said;
} kinds[] = {
    {"RSA", NULL, 2048, WIRE_KEY_RSA, 2048}, {"RSA", NULL, 3072, WIRE_KEY_RSA, 3072},
    {"EC", "P-256", 0, WIRE_KEY_EC, 256},    {"EC", "P-384", 0, WIRE_KEY_EC, 384},
    {"EC", "P-521", 0, WIRE_KEY_EC, 521},    {"ED25519", NULL, 0, WIRE_KEY_ED25519, 0},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static EVP_PKEY *make(const struct kind *kind)
{
    EVP_PKEY *pair;
    if (kind->curve != NULL)
        pair = EVP_PKEY_Q_keygen(NULL, NULL, kind->type, kind->curve);
    else if (kind->bits > 0)
        pair = EVP_PKEY_Q_keygen(NULL, NULL, kind->type, kind->bits);
    else
        pair = EVP_PKEY_Q_keygen(NULL, NULL, kind->type);
    assert_non_null(pair);
    return pair;
}

enum form { PKCS8, TRADITIONAL, ENCRYPTED, FORMS };

/* Its PEM text, behind a text that is none. */
static void write_text(struct secret *text, EVP_PKEY *pair, enum form form)
{
    char *bytes;
    BIO *out = BIO_new(BIO_s_mem());
    BIO_printf(out, "subject=a chain may come first\n");
    if (form == TRADITIONAL)
        assert_int_equal(PEM_write_bio_PrivateKey_traditional(out, pair, NULL, NULL, 0, NULL, NULL),
                         1);
    else
        assert_int_equal(PEM_write_bio_PKCS8PrivateKey(out, pair,
                                                       form == ENCRYPTED ? EVP_aes_256_cbc() : NULL,
                                                       NULL, 0, NULL, (void *)"horse"),
                         1);
    long length = BIO_get_mem_data(out, &bytes);
    assert_true(secret_new(text, (size_t)length));
    memcpy(text->bytes, bytes, (size_t)length);
    text->length = (size_t)length;
    BIO_free(out);
}

static bool open_text(struct envelope *envelope, const struct secret *text, char *reason)
{
    struct secret phrase;
    assert_true(secret_new(&phrase, 5));
    memcpy(phrase.bytes, "horse", 5);
    phrase.length = 5;
    bool good = envelope_open(envelope, text, &phrase, reason, 256);
    secret_free(&phrase);
    return good;
}

static void every_kind_and_form(void **state)
{
    (void)state;
    struct der_reader *reader = der_reader_new();
    char reason[256];
    for (size_t i = 0; i < KINDS; i++)
        for (enum form form = PKCS8; form < FORMS; form++) {
            struct secret text;
            struct envelope envelope;
            if (form == TRADITIONAL && kinds[i].key_type == WIRE_KEY_ED25519)
                continue; /* it has none */
            EVP_PKEY *pair = make(&kinds[i]);
            write_text(&text, pair, form);
            if (!open_text(&envelope, &text, reason))
                fail_msg("kind %zu, form %d: %s", i, (int)form, reason);
            assert_int_equal(envelope.type, kinds[i].key_type);
            assert_int_equal(envelope.bits, kinds[i].said);
            EVP_PKEY *again = der_read_key(reader, envelope.der, envelope.length);
            assert_non_null(again);
            assert_int_equal(EVP_PKEY_eq(pair, again), 1);
            EVP_PKEY_free(again);
            EVP_PKEY_free(pair);
            envelope_close(&envelope);
            secret_free(&text);
        }
    der_reader_free(reader);
}

static void others_are_refused(void **state)
{
    (void)state;
    static const struct kind others[] = {{"RSA", NULL, 1024, 0, 0},
                                         {"EC", "P-224", 0, 0, 0},
                                         {"EC", "secp256k1", 0, 0, 0},
                                         {"X25519", NULL, 0, 0, 0},
                                         {"ED448", NULL, 0, 0, 0}};
    char reason[256];
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct secret text;
        struct envelope envelope;
        EVP_PKEY *pair = make(&others[i]);
        write_text(&text, pair, PKCS8);
        assert_false(envelope_open(&envelope, &text, NULL, reason, sizeof reason));
        assert_non_null(strstr(reason, "none of those that are taken"));
        assert_null(envelope.der);
        EVP_PKEY_free(pair);
        secret_free(&text);
    }
}

static void without_a_pass_phrase(void **state)
{
    (void)state;
    struct secret text;
    struct envelope envelope;
    char reason[256];
    EVP_PKEY *pair = make(&kinds[2]);
    write_text(&text, pair, ENCRYPTED);
    assert_false(envelope_open(&envelope, &text, NULL, reason, sizeof reason));
    assert_string_equal(reason, "the key is encrypted, and no pass-phrase-file is given");
    EVP_PKEY_free(pair);
    secret_free(&text);
}

/* A text that is cut anywhere is refused, or cut behind the key. */
static void cut_texts(void **state)
{
    (void)state;
    struct secret text;
    struct envelope envelope;
    char reason[256];
    EVP_PKEY *pair = make(&kinds[2]);
    write_text(&text, pair, TRADITIONAL);
    size_t whole = text.length;
    for (text.length = 0; text.length + sizeof "-----" < whole; text.length++)
        assert_false(envelope_open(&envelope, &text, NULL, reason, sizeof reason));
    EVP_PKEY_free(pair);
    secret_free(&text);
}

/* ---- packed secrets ---- */

static void packed_pieces(void **state)
{
    (void)state;
    enum { PIECES = 20000, LONGEST = 250 };
    static const uint8_t *pieces[PIECES];
    uint8_t bytes[LONGEST];
    struct packed *packed = packed_new();
    for (size_t i = 0; i < PIECES; i++) {
        memset(bytes, (int)i, sizeof bytes);
        pieces[i] = packed_add(packed, bytes, i % LONGEST);
        assert_non_null(pieces[i]);
    }
    size_t used = packed_used(packed), size = packed_size(packed);
    assert_true(used < size && used > PIECES * LONGEST / 2);
    for (size_t i = 0; i < PIECES; i++) {
        memset(bytes, (int)i, sizeof bytes);
        assert_memory_equal(pieces[i], bytes, i % LONGEST);
    }
    for (size_t i = 0; i < PIECES; i += 2) {
        packed_remove(packed, pieces[i], i % LONGEST);
        for (size_t at = sizeof(void *); at < i % LONGEST; at++)
            assert_int_equal(pieces[i][at], 0);
    }
    for (size_t i = 0; i < PIECES; i += 2)
        assert_non_null(packed_add(packed, bytes, i % LONGEST));
    assert_int_equal(packed_used(packed), used);
    assert_int_equal(packed_size(packed), size);
    packed_free(packed);
}

/* After packed_reserve() the memory has an end, which is reached and does no harm. */
static void packed_to_the_end(void **state)
{
    (void)state;
    static uint8_t bytes[PACKED_MOST + 1];
    struct packed *packed = packed_new();
    assert_null(packed_add(packed, bytes, sizeof bytes));
    assert_non_null(packed_add(packed, bytes, 100));
    assert_true(packed_reserve(packed));
    size_t size = packed_size(packed), count = 0;
    const uint8_t *last = NULL;
    for (const uint8_t *piece; (piece = packed_add(packed, bytes, PACKED_MOST)) != NULL; count++)
        last = piece;
    assert_in_range(count * PACKED_MOST, size - 3 * PACKED_MOST, size);
    assert_int_equal(packed_size(packed), size);
    packed_remove(packed, last, PACKED_MOST);
    assert_ptr_equal(packed_add(packed, bytes, PACKED_MOST), last);
    packed_free(packed);
}

/* ---- the set ---- */

static struct key_group_config groups[] = {{.name = (char *)"one", .location = (char *)"here:1"},
                                           {.name = (char *)"two", .location = (char *)"here:2"}};

static void set_of(struct compact_keys *keys, uint64_t ready_max)
{
    const struct compact_config config = {
        .groups = groups, .group_count = 2, .ready_max = ready_max};
    assert_true(compact_init(keys, &config));
}

/* Neighbours in the table, of which some have the same home. */
static void make_id(uint8_t id[WIRE_KEY_ID_SIZE], unsigned number)
{
    memset(id, 0, WIRE_KEY_ID_SIZE);
    memcpy(id, &(uint32_t){number / 3}, sizeof(uint32_t));
    memcpy(id + 16, &number, sizeof number);
}

static enum compact_added add(struct compact_keys *keys, unsigned number, struct compact_key **key)
{
    uint8_t id[WIRE_KEY_ID_SIZE], der[] = {1, 2, (uint8_t)number};
    const struct envelope envelope = {
        .der = der, .length = sizeof der, .type = WIRE_KEY_EC, .bits = 256};
    make_id(id, number);
    return compact_add(keys, &keys->groups[number % 2], id, "name", &envelope, key);
}

static struct compact_key *find(const struct compact_keys *keys, unsigned number)
{
    uint8_t id[WIRE_KEY_ID_SIZE];
    make_id(id, number);
    return compact_find(keys, id);
}

static void thousands_come_and_go(void **state)
{
    (void)state;
    enum { KEYS = 5000 };
    struct compact_keys keys;
    struct compact_key *key;
    set_of(&keys, 10);
    assert_null(find(&keys, 1));
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(add(&keys, i, &key), COMPACT_ADDED);
    assert_int_equal(add(&keys, 17, &key), COMPACT_KNOWN);
    assert_ptr_equal(key, find(&keys, 17));
    for (unsigned i = 0; i < KEYS; i += 3)
        compact_remove(&keys, find(&keys, i));
    assert_true(keys.left);
    size_t count = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        key = find(&keys, i);
        assert_int_equal(key != NULL, i % 3 != 0);
        count += key != NULL;
        if (key != NULL) {
            assert_int_equal(key->der[2], (uint8_t)i);
            assert_ptr_equal(keys.groups[i % 2].keys[key->place], key);
        }
    }
    assert_int_equal(keys.count, count);
    size_t places = keys.groups[0].count, memory = packed_used(keys.packed);
    for (unsigned i = 0; i < KEYS; i += 3)
        assert_int_equal(add(&keys, i, &key), COMPACT_ADDED);
    assert_int_equal(keys.groups[0].count, places);
    assert_true(packed_used(keys.packed) > memory);
    compact_free(&keys);
}

/* ---- use ---- */

/* What a signer thread would leave behind. */
static void make_ready(const struct key *key)
{
    struct key *ready = calloc(1, sizeof *ready);
    assert_non_null(ready);
    ready->borrowed = true;
    atomic_store(&compact_use_of(key)->ready, ready);
}

static const struct key *sign_with(struct compact_keys *keys, unsigned number)
{
    const struct key *key = compact_use(keys, find(keys, number));
    assert_non_null(key);
    compact_lend(key);
    if (!compact_is_ready(key))
        make_ready(key);
    compact_take_back(keys, key);
    return key;
}

static bool is_ready(const struct compact_keys *keys, unsigned number)
{
    const struct compact_key *key = find(keys, number);
    return key->use != NULL && compact_is_ready(&key->use->key);
}

static void few_are_ready(void **state)
{
    (void)state;
    enum { KEYS = 100, READY = 7 };
    struct compact_keys keys;
    struct compact_key *key;
    set_of(&keys, READY);
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(add(&keys, i, &key), COMPACT_ADDED);
    for (unsigned i = 0; i < KEYS; i++) {
        compact_drop(&keys, sign_with(&keys, i));
        compact_drop(&keys, sign_with(&keys, 0)); /* used all the time */
        assert_in_range(keys.ready_count, 1, READY);
    }
    assert_true(is_ready(&keys, 0));
    for (unsigned i = 1; i < KEYS; i++)
        assert_int_equal(is_ready(&keys, i), i > KEYS - READY);
    assert_int_equal(keys.decoded, KEYS);
    compact_free(&keys);
}

/* Keys that threads sign with stay, however many they are. */
static void what_is_lent_stays_ready(void **state)
{
    (void)state;
    enum { KEYS = 20 };
    struct compact_keys keys;
    struct compact_key *key;
    const struct key *used[KEYS];
    set_of(&keys, 1);
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(add(&keys, i, &key), COMPACT_ADDED);
        used[i] = sign_with(&keys, i);
        compact_lend(used[i]);
        if (!compact_is_ready(used[i]))
            make_ready(used[i]);
    }
    for (unsigned i = 0; i < KEYS; i++)
        assert_true(is_ready(&keys, i));
    for (unsigned i = 0; i < KEYS; i++) {
        compact_take_back(&keys, used[i]);
        compact_drop(&keys, used[i]);
    }
    assert_int_equal(keys.ready_count, 1);
    compact_free(&keys);
}

static void a_removed_key_finishes_its_jobs(void **state)
{
    (void)state;
    struct compact_keys keys;
    struct compact_key *key;
    set_of(&keys, 5);
    assert_int_equal(add(&keys, 1, &key), COMPACT_ADDED);
    const struct key *used = sign_with(&keys, 1);
    compact_hold(used);
    compact_remove(&keys, key);
    assert_null(find(&keys, 1));
    assert_true(compact_is_ready(used));
    assert_true(packed_used(keys.packed) > 0);
    compact_drop(&keys, used);
    assert_false(keys.left);
    compact_drop(&keys, used);
    assert_true(keys.left);
    assert_int_equal(packed_used(keys.packed), 0);
    assert_int_equal(keys.ready_count, 0);
    compact_free(&keys);
}

/* ---- decoding ---- */

static EVP_PKEY *restricted_key(void)
{
    EVP_PKEY *pair = NULL;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
    assert_int_equal(EVP_PKEY_keygen_init(maker), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(maker, 2048), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_keygen_md_name(maker, "SHA256", NULL), 1);
    assert_int_equal(EVP_PKEY_generate(maker, &pair), 1);
    EVP_PKEY_CTX_free(maker);
    return pair;
}

/* A set of one key. */
static struct compact_key *add_pair(struct compact_keys *keys, EVP_PKEY *pair,
                                    enum wire_key_type type)
{
    uint8_t id[WIRE_KEY_ID_SIZE], *spki = NULL, *der = NULL;
    struct compact_key *key = NULL;
    int spki_length = i2d_PUBKEY(pair, &spki);
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pair);
    int length = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    assert_int_equal(EVP_Digest(spki, (size_t)spki_length, id, NULL, EVP_sha256(), NULL), 1);
    const struct envelope envelope = {.der = der,
                                      .length = (size_t)length,
                                      .type = type,
                                      .bits =
                                          type == WIRE_KEY_ED25519 ? 0 : EVP_PKEY_get_bits(pair)};
    set_of(keys, 0);
    assert_int_equal(compact_add(keys, &keys->groups[0], id, "name", &envelope, &key),
                     COMPACT_ADDED);
    PKCS8_PRIV_KEY_INFO_free(info);
    OPENSSL_free(spki);
    OPENSSL_free(der);
    return key;
}

/* As a signer thread does; the key does not stay ready. */
static enum opener_result open_once(struct compact_keys *keys, struct compact_key *compact,
                                    EVP_PKEY *pair, size_t schemes)
{
    struct opener opener = {.reader = NULL};
    const struct key *ready, *key = compact_use(keys, compact);
    compact_lend(key);
    enum opener_result result = opener_open(&opener, key, &ready);
    if (result == OPENER_GOOD) {
        assert_int_equal(EVP_PKEY_eq(ready->pair, pair), 1);
        assert_int_equal(EVP_PKEY_eq(ready->public, pair), 1);
        assert_memory_equal(ready->id, compact->id, sizeof ready->id);
        assert_int_equal(ready->scheme_count, schemes);
    }
    compact_take_back(keys, key);
    compact_drop(keys, key);
    opener_release(&opener);
    return result;
}

/* The second time there is a proof, of which nothing else is different. */
static void a_key_is_decoded_again(void **state)
{
    (void)state;
    struct compact_keys keys;
    const struct {
        EVP_PKEY *pair;
        enum wire_key_type type;
        size_t schemes;
    } examples[] = {{EVP_EC_gen("P-256"), WIRE_KEY_EC, 3},
                    {EVP_RSA_gen(2048), WIRE_KEY_RSA, 6},
                    {restricted_key(), WIRE_KEY_RSA_PSS, 1},
                    {EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), WIRE_KEY_ED25519, 1}};
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        EVP_PKEY *pair = examples[i].pair;
        struct compact_key *key = add_pair(&keys, pair, examples[i].type);
        assert_null(key->proof);
        for (int time = 0; time < 3; time++) {
            assert_int_equal(open_once(&keys, key, pair, examples[i].schemes), OPENER_GOOD);
            assert_non_null(key->proof);
        }
        compact_free(&keys);
        EVP_PKEY_free(pair);
    }
}

/* Damage to the part that no decoder examines. */
static void damage_since_it_was_decoded(void **state)
{
    (void)state;
    struct compact_keys keys;
    EVP_PKEY *pair = EVP_RSA_gen(2048);
    struct compact_key *key = add_pair(&keys, pair, WIRE_KEY_RSA);
    assert_int_equal(open_once(&keys, key, pair, 6), OPENER_GOOD);
    ((uint8_t *)key->der)[key->length - 1] ^= 1;
    assert_int_equal(open_once(&keys, key, pair, 6), OPENER_DAMAGED);
    ((uint8_t *)key->der)[key->length - 1] ^= 1;
    assert_int_equal(open_once(&keys, key, pair, 6), OPENER_DAMAGED); /* it is not tried again */
    compact_free(&keys);
    EVP_PKEY_free(pair);
}

/* ---- the next key process ---- */

static void assert_same(const struct compact_keys *keys, const struct compact_keys *others)
{
    assert_int_equal(keys->count, others->count);
    for (size_t i = 0; i < keys->group_count; i++)
        for (size_t place = 0; place < keys->groups[i].count; place++) {
            const struct compact_key *key = keys->groups[i].keys[place];
            if (key == NULL)
                continue;
            const struct compact_key *other = compact_find(others, key->id);
            assert_non_null(other);
            assert_int_equal(other->group, key->group);
            assert_int_equal(other->length, key->length);
            assert_memory_equal(other->der, key->der, key->length);
            assert_string_equal(other->name, key->name);
        }
}

static void keep_change(int changes, const uint8_t *change, size_t length)
{
    const uint8_t size[] = {0, 0, (uint8_t)(length >> 8), (uint8_t)length};
    assert_in_range(length, 1, KEY_CHANGE_MAX);
    assert_int_equal(write(changes, size, sizeof size), sizeof size);
    assert_int_equal(write(changes, change, length), length);
}

static void records_and_changes(void **state)
{
    (void)state;
    enum { KEYS = 3000 };
    static uint8_t change[KEY_CHANGE_MAX];
    struct compact_keys keys, others;
    struct compact_key *key;
    struct files files, opened;
    struct key_records records = KEY_RECORDS_INIT;
    struct change_key change_key;
    set_of(&keys, 5);
    set_of(&others, 5);
    assert_true(files_begin(&files));
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(add(&keys, i, &key), COMPACT_ADDED);
        assert_true(key_records_add(&records, &files, &keys, key));
    }
    assert_true(key_records_end(&records, &files));
    assert_true(records.count < KEYS / 100);
    assert_true(files_seal(&files));
    assert_true(files_open(&opened, dup(files.descriptor), files.key.bytes));
    assert_true(key_records_load(&opened, &others));
    assert_same(&keys, &others);

    int changes = memfd_create("changes", MFD_CLOEXEC);
    change_key_take(&change_key, &files);
    keep_change(changes, change, key_change_removed(&change_key, find(&keys, 5)->id, change));
    compact_remove(&keys, find(&keys, 5));
    assert_int_equal(add(&keys, KEYS, &key), COMPACT_ADDED);
    keep_change(changes, change, key_change_added(&change_key, &keys, key, change));
    assert_null(memmem(change, sizeof change, "name", 4));
    assert_true(key_changes_load(&opened, changes, &others));
    assert_same(&keys, &others);

    assert_int_equal(pwrite(changes, "!", 1, 20), 1);
    assert_false(key_changes_load(&opened, changes, &others));
    close(changes);
    change_key_free(&change_key);
    files_close(&files);
    files_close(&opened);
    compact_free(&keys);
    compact_free(&others);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_and_form),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(without_a_pass_phrase),
        cmocka_unit_test(cut_texts),
        cmocka_unit_test(packed_pieces),
        cmocka_unit_test(packed_to_the_end),
        cmocka_unit_test(thousands_come_and_go),
        cmocka_unit_test(few_are_ready),
        cmocka_unit_test(what_is_lent_stays_ready),
        cmocka_unit_test(a_removed_key_finishes_its_jobs),
        cmocka_unit_test(a_key_is_decoded_again),
        cmocka_unit_test(damage_since_it_was_decoded),
        cmocka_unit_test(records_and_changes),
    };
    return cmocka_run_group_tests(tests, arena_make, NULL);
}
