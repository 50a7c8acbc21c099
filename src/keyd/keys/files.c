#include "keyd/keys/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "daemon/hand_over.h"
#include "keyd/keys/aead.h"

#define FILES_NAME_MAX HAND_OVER_MESSAGE_MAX

/* Identifies the format of the vault and the byte order: a newer program may read what an older one
 * has sealed. */
#define MAGIC UINT64_C(0x696d6d7572650001) /* "immure" and a version */

_Static_assert(FILES_KEY_SIZE == VAULT_KEY_SIZE, "a supervisor keeps the key");

/* The name follows, then the encrypted content and its tag. The header and the name are
 * authenticated with the content. */
struct header {
    uint32_t name_length;
    uint32_t length;
    uint32_t error;
};

/* ---- the cipher ---- */

/* The nonce is the number of the record, so no key uses one twice. */
static void make_nonce(size_t number, uint8_t nonce[static AEAD_NONCE_SIZE])
{
    memset(nonce, 0, AEAD_NONCE_SIZE);
    for (int i = AEAD_NONCE_SIZE - 1; number > 0; i--, number >>= 8)
        nonce[i] = (uint8_t)number;
}

/* Encrypts or decrypts in place; `tag` is written or compared. */
static bool apply(const struct files *files, bool seal, size_t number, const char *name,
                  const struct header *header, uint8_t *bytes, uint8_t tag[static AEAD_TAG_SIZE])
{
    uint8_t nonce[AEAD_NONCE_SIZE];
    const struct iovec authenticated[] = {
        {.iov_base = (void *)header, .iov_len = sizeof *header},
        {.iov_base = (void *)name, .iov_len = header->name_length}};
    const struct aead_text text = {authenticated, 2, bytes, header->length, tag};
    make_nonce(number, nonce);
    return aead_apply(files->cipher, files->key.bytes, seal, nonce, &text);
}

static bool begin(struct files *files)
{
    *files = FILES_INIT;
    files->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    if (files->cipher != NULL)
        return secret_new(&files->key, FILES_KEY_SIZE);
    ERR_clear_error();
    errno = ENOTSUP;
    return false;
}

/* ---- records ---- */

static bool transfer(int descriptor, bool write, void *bytes, size_t length, off_t offset)
{
    for (size_t done = 0; done < length;) {
        uint8_t *at = (uint8_t *)bytes + done;
        off_t place = offset + (off_t)done;
        ssize_t more = write ? pwrite(descriptor, at, length - done, place)
                             : pread(descriptor, at, length - done, place);
        if (more == 0)
            errno = EPROTO; /* the vault ends too early */
        if (more == 0 || (more < 0 && errno != EINTR))
            return false;
        done += more > 0 ? (size_t)more : 0;
    }
    return true;
}

/* Enters the name and the place of the record at the end of the vault. */
static bool enter(struct files *files, const char *name, const struct header *header)
{
    size_t count = files->names.count, index;
    if (count == files->room) {
        size_t room = files->room > 0 ? 2 * files->room : 16;
        struct files_place *places = realloc(files->places, room * sizeof *places);
        if (places == NULL)
            return false;
        files->places = places;
        files->room = room;
    }
    if (!name_table_add(&files->names, name, &index))
        return false;
    files->places[count] = (struct files_place){
        .offset = files->end, .length = header->length, .error = (int)header->error};
    files->end += (off_t)(sizeof *header + header->name_length + header->length + AEAD_TAG_SIZE);
    if (index == count)
        return true;
    errno = EPROTO;
    return false;
}

static off_t content_of(const struct files_place *place, const char *name)
{
    return place->offset + (off_t)(sizeof(struct header) + strlen(name));
}

static bool write_record(struct files *files, const char *name, struct header *header,
                         struct secret *content)
{
    size_t number = files->names.count, name_length = strlen(name);
    off_t at = files->end;
    return apply(files, true, number, name, header, content->bytes,
                 content->bytes + header->length) &&
           transfer(files->descriptor, true, header, sizeof *header, at) &&
           transfer(files->descriptor, true, (char *)name, name_length,
                    at + (off_t)sizeof *header) &&
           transfer(files->descriptor, true, content->bytes, header->length + AEAD_TAG_SIZE,
                    at + (off_t)(sizeof *header + name_length)) &&
           enter(files, name, header);
}

/* ---- a new vault ---- */

bool files_begin(struct files *files)
{
    uint64_t magic = MAGIC;
    if (!begin(files))
        return false;
    if (RAND_priv_bytes(files->key.bytes, FILES_KEY_SIZE) != 1) {
        errno = EIO;
        return false;
    }
    files->descriptor = memfd_create("vault", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    files->end = sizeof magic;
    return files->descriptor >= 0 && transfer(files->descriptor, true, &magic, sizeof magic, 0) &&
           files_make_room(&files->reading);
}

bool files_make_room(struct secret *secret)
{
    return secret_new(secret, FILES_LONGEST + AEAD_TAG_SIZE);
}

/* Reads at most one byte more than is allowed. It uses pread() because others who have the file
 * open may share its offset. Returns 0 or errno. */
int files_read_open(int descriptor, struct secret *content)
{
    content->length = 0;
    while (content->length <= FILES_LONGEST) {
        ssize_t got = pread(descriptor, content->bytes + content->length,
                            FILES_LONGEST + 1 - content->length, (off_t)content->length);
        if (got < 0 && errno != EINTR)
            return errno;
        size_t wanted = FILES_LONGEST + 1 - content->length;
        if (got > 0)
            content->length += (size_t)got;
        if (got >= 0 && (size_t)got < wanted)
            return 0; /* a regular file is read up to its end at once */
    }
    return EFBIG;
}

static bool add_content(struct files *files, const char *name, struct secret *content, int error)
{
    if (strlen(name) > FILES_NAME_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    struct header header = {.name_length = (uint32_t)strlen(name),
                            .length = error == 0 ? (uint32_t)content->length : 0,
                            .error = (uint32_t)error};
    bool good = write_record(files, name, &header, content);
    int reason = errno;
    OPENSSL_cleanse(content->bytes, content->length);
    errno = reason;
    return good;
}

bool files_add_bytes(struct files *files, const char *name, struct secret *content)
{
    return add_content(files, name, content, 0);
}

static bool add(struct files *files, const char *name, int descriptor)
{
    struct secret *content = &files->reading;
    content->length = 0;
    int error = descriptor >= 0 ? files_read_open(descriptor, content) : -descriptor;
    return add_content(files, name, content, error);
}

bool files_add(struct files *files, const char *name, int descriptor)
{
    size_t index;
    bool good = name_table_find(&files->names, name, &index) || add(files, name, descriptor);
    int reason = errno;
    descriptor_close(&descriptor);
    errno = reason;
    return good;
}

bool files_seal(struct files *files)
{
    secret_free(&files->reading);
    return fcntl(files->descriptor, F_ADD_SEALS,
                 F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0;
}

/* ---- an existing vault ---- */

static bool read_record(struct files *files)
{
    struct header header;
    char name[FILES_NAME_MAX + 1];
    if (!transfer(files->descriptor, false, &header, sizeof header, files->end))
        return false;
    if (header.name_length > FILES_NAME_MAX || header.length > FILES_LONGEST ||
        header.error > INT_MAX) {
        errno = EPROTO;
        return false;
    }
    name[header.name_length] = '\0';
    return transfer(files->descriptor, false, name, header.name_length,
                    files->end + (off_t)sizeof header) &&
           enter(files, name, &header);
}

bool files_open(struct files *files, int descriptor, const uint8_t key[static FILES_KEY_SIZE])
{
    uint64_t magic = 0;
    bool good = begin(files);
    files->descriptor = descriptor;
    files->end = sizeof magic;
    if (!good || !transfer(descriptor, false, &magic, sizeof magic, 0))
        return false;
    memcpy(files->key.bytes, key, FILES_KEY_SIZE);
    off_t size = lseek(descriptor, 0, SEEK_END);
    while (good && files->end < size)
        good = read_record(files);
    if (good && (magic != MAGIC || files->end != size)) {
        errno = EPROTO;
        good = false;
    }
    return good;
}

bool files_read(const struct files *files, const char *name, size_t longest, struct secret *secret)
{
    size_t index;
    if (!name_table_find(&files->names, name, &index)) {
        errno = ENOENT;
        return false;
    }
    const struct files_place *place = &files->places[index];
    if (place->error != 0 || place->length > longest) {
        errno = place->error != 0 ? place->error : EFBIG;
        return false;
    }
    if (!secret_new(secret, place->length + AEAD_TAG_SIZE))
        return false;
    const struct header header = {.name_length = (uint32_t)strlen(name), .length = place->length};
    secret->length = place->length;
    if (transfer(files->descriptor, false, secret->bytes, place->length + AEAD_TAG_SIZE,
                 content_of(place, name)) &&
        apply(files, false, index, name, &header, secret->bytes, secret->bytes + place->length))
        return true;
    int reason = errno;
    secret_free(secret);
    errno = reason;
    return false;
}

bool files_read_line(const struct files *files, const char *name, size_t longest,
                     struct secret *secret)
{
    if (!files_read(files, name, longest, secret))
        return false;
    size_t length = 0;
    while (length < secret->length && secret->bytes[length] != '\n' &&
           secret->bytes[length] != '\r')
        length++;
    secret->length = length;
    return true;
}

void files_close(struct files *files)
{
    name_table_free(&files->names);
    free(files->places);
    descriptor_close(&files->descriptor);
    secret_free(&files->key);
    secret_free(&files->reading);
    EVP_CIPHER_free(files->cipher);
    *files = FILES_INIT;
}

const char *files_name_of_uri(const char *uri)
{
    static const char scheme[] = "file:";
    size_t length = sizeof scheme - 1;
    return strncmp(uri, scheme, length) == 0 ? uri + length : NULL;
}
