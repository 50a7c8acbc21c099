#include "keyd/keys/key_records.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "daemon/vault.h"
#include "keyd/keys/aead.h"

enum what { KEY_ADDED = 1, KEY_REMOVED };

#define RANDOM_NONCE 0x80 /* the first bit: the nonces of records have it zero */

/* The name of a record with keys: no directive can name such a file. */
#define NAME_FORMAT "\n%zu"
#define NAME_SIZE 32

_Static_assert(KEY_CHANGE_MAX <= VAULT_CHANGE_MAX, "a supervisor takes every change");

/* ---- one key ---- */

static void put_text(struct writer *writer, const char *text)
{
    write_u16(writer, (uint16_t)strlen(text));
    write_bytes(writer, text, strlen(text));
}

static void put_key(struct writer *writer, const struct compact_keys *keys,
                    const struct compact_key *key)
{
    write_u8(writer, KEY_ADDED);
    write_bytes(writer, key->id, sizeof key->id);
    put_text(writer, keys->groups[key->group].config->name);
    put_text(writer, key->name);
    write_u8(writer, key->type);
    write_u16(writer, key->bits);
    write_u16(writer, key->length);
    write_bytes(writer, key->der, key->length);
}

static bool get_text(struct reader *reader, char *text, size_t size)
{
    size_t length = read_u16(reader);
    const uint8_t *bytes = read_bytes(reader, length);
    if (bytes == NULL || length >= size)
        return false;
    memcpy(text, bytes, length);
    text[length] = '\0';
    return true;
}

static bool get_added(struct reader *reader, const uint8_t *id, struct compact_keys *keys)
{
    char section[WIRE_KEY_NAME_MAX + 1], name[KEY_NAME_MAX + 1];
    struct compact_key *key;
    bool named = get_text(reader, section, sizeof section) && get_text(reader, name, sizeof name);
    struct envelope envelope = {.type = read_u8(reader), .bits = read_u16(reader)};
    envelope.length = read_u16(reader);
    envelope.der = (uint8_t *)read_bytes(reader, envelope.length);
    struct key_group *group = named ? compact_find_group(keys, section) : NULL;
    errno = EPROTO;
    if (reader->failed || group == NULL)
        return false;
    errno = ENOMEM;
    return compact_add(keys, group, id, name, &envelope, &key) != COMPACT_NO_ROOM;
}

/* Reads one, and does what it says. */
static bool get(struct reader *reader, struct compact_keys *keys)
{
    unsigned what = read_u8(reader);
    const uint8_t *id = read_bytes(reader, WIRE_KEY_ID_SIZE);
    if (id != NULL && what == KEY_ADDED)
        return get_added(reader, id, keys);
    struct compact_key *key = id != NULL ? compact_find(keys, id) : NULL;
    errno = EPROTO;
    if (id == NULL || what != KEY_REMOVED)
        return false;
    if (key != NULL)
        compact_remove(keys, key);
    return true;
}

/* ---- records of the vault ---- */

static bool put_record(struct key_records *records, struct files *files)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof name, NAME_FORMAT, records->count);
    if (records->bytes.length == 0)
        return true;
    bool good = files_add_bytes(files, name, &records->bytes);
    records->bytes.length = 0;
    records->count++;
    return good;
}

bool key_records_add(struct key_records *records, struct files *files,
                     const struct compact_keys *keys, const struct compact_key *key)
{
    if (records->bytes.bytes == NULL && !files_make_room(&records->bytes))
        return false;
    for (int attempt = 0; attempt < 2; attempt++) {
        struct writer writer = writer_of(records->bytes.bytes + records->bytes.length,
                                         FILES_LONGEST - records->bytes.length);
        put_key(&writer, keys, key);
        if (!writer.failed) {
            records->bytes.length = FILES_LONGEST - writer.left;
            return true;
        }
        if (!put_record(records, files))
            return false;
    }
    errno = EMSGSIZE;
    return false;
}

bool key_records_end(struct key_records *records, struct files *files)
{
    bool good = put_record(records, files);
    int reason = errno;
    secret_free(&records->bytes);
    errno = reason;
    return good;
}

bool key_records_load(const struct files *files, struct compact_keys *keys)
{
    char name[NAME_SIZE];
    size_t index;
    bool good = true;
    for (size_t i = 0; good; i++) {
        struct secret record;
        snprintf(name, sizeof name, NAME_FORMAT, i);
        if (!name_table_find(&files->names, name, &index))
            return true;
        if (!files_read(files, name, FILES_LONGEST, &record))
            return false;
        struct reader reader = reader_of(record.bytes, record.length);
        while (good && reader.left > 0)
            good = get(&reader, keys);
        int reason = errno;
        secret_free(&record);
        errno = reason;
    }
    return false;
}

/* ---- changes ---- */

void change_key_take(struct change_key *change_key, struct files *files)
{
    *change_key = (struct change_key){.cipher = files->cipher, .key = files->key};
    files->cipher = NULL;
    files->key = SECRET_INIT;
}

void change_key_free(struct change_key *change_key)
{
    EVP_CIPHER_free(change_key->cipher);
    secret_free(&change_key->key);
    *change_key = CHANGE_KEY_INIT;
}

/* A change is nonce, encrypted bytes, tag. Encrypts or decrypts the middle in place. */
static bool apply(EVP_CIPHER *cipher, const uint8_t *key, bool seal, uint8_t *change, size_t length)
{
    uint8_t *bytes = change + AEAD_NONCE_SIZE;
    const struct aead_text text = {.bytes = bytes, .length = length, .tag = bytes + length};
    return aead_apply(cipher, key, seal, change, &text);
}

static size_t seal(const struct change_key *change_key, uint8_t *change,
                   const struct writer *writer)
{
    size_t length = (size_t)(writer->next - change) - AEAD_NONCE_SIZE;
    if (writer->failed || RAND_bytes(change, AEAD_NONCE_SIZE) != 1)
        return 0;
    change[0] |= RANDOM_NONCE;
    bool good = apply(change_key->cipher, change_key->key.bytes, true, change, length);
    if (!good)
        OPENSSL_cleanse(change, KEY_CHANGE_MAX);
    return good ? AEAD_NONCE_SIZE + length + AEAD_TAG_SIZE : 0;
}

static struct writer begin(uint8_t *change)
{
    return writer_of(change + AEAD_NONCE_SIZE, KEY_CHANGE_MAX - AEAD_NONCE_SIZE - AEAD_TAG_SIZE);
}

size_t key_change_added(const struct change_key *change_key, const struct compact_keys *keys,
                        const struct compact_key *key, uint8_t *change)
{
    struct writer writer = begin(change);
    put_key(&writer, keys, key);
    return seal(change_key, change, &writer);
}

size_t key_change_removed(const struct change_key *change_key,
                          const uint8_t id[static WIRE_KEY_ID_SIZE], uint8_t *change)
{
    struct writer writer = begin(change);
    write_u8(&writer, KEY_REMOVED);
    write_bytes(&writer, id, WIRE_KEY_ID_SIZE);
    return seal(change_key, change, &writer);
}

/* Reads exactly so many bytes. */
static bool read_at(int descriptor, void *bytes, size_t length, off_t offset)
{
    ssize_t got = pread(descriptor, bytes, length, offset);
    errno = got >= 0 ? EPROTO : errno;
    return got == (ssize_t)length;
}

static bool load_change(const struct files *files, struct secret *change, struct compact_keys *keys)
{
    size_t around = AEAD_NONCE_SIZE + AEAD_TAG_SIZE;
    errno = EPROTO;
    if (change->length < around ||
        !apply(files->cipher, files->key.bytes, false, change->bytes, change->length - around))
        return false;
    struct reader reader = reader_of(change->bytes + AEAD_NONCE_SIZE, change->length - around);
    return get(&reader, keys) && reader_done(&reader);
}

bool key_changes_load(const struct files *files, int descriptor, struct compact_keys *keys)
{
    struct secret change;
    off_t at = 0, end = lseek(descriptor, 0, SEEK_END);
    bool good = secret_new(&change, VAULT_CHANGE_MAX);
    while (good && at < end) {
        uint8_t size[4];
        good = read_at(descriptor, size, sizeof size, at);
        struct reader reader = reader_of(size, sizeof size);
        change.length = read_u32(&reader);
        good = good && change.length <= change.size &&
               read_at(descriptor, change.bytes, change.length, at + (off_t)sizeof size) &&
               load_change(files, &change, keys);
        at += (off_t)(sizeof size + change.length);
    }
    int reason = errno;
    secret_free(&change);
    errno = reason;
    return good;
}
