#include "proxy/store/intake.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pem_file.h"
#include "base/regular_file.h"
#include "proxy/store/layout.h"
#include "proxy/store/leaf.h"
#include "proxy/store/problem.h"
#include "proxy/store/staple.h"
#include "proxy/store/tails.h"

#define STAPLE_MAX (64 * 1024)

struct intake {
    struct store_builder *builder;
    const struct store *before;
    const struct refusals *refused;
    struct slots old;    /* certificates of `before` by the path of their file */
    uint32_t *old_chain; /* numbers in `builder` of the chain certificates of `before` */
    struct slots recent; /* certificates of `builder` by the path of their file */
    struct tails tails;
    EVP_MD *sha256;
    EVP_MD_CTX *hash;
    size_t read_count;
};

/* ---- what is known already ---- */

struct path_search {
    const struct intake *intake;
    const char *path;
};

static const char *old_path(const struct intake *intake, uint32_t number)
{
    const struct store_certificate *certificate = store_certificate(intake->before, number);
    return store_text(intake->before, certificate->files[STORE_CHAIN_FILE].path);
}

static const char *recent_path(const struct intake *intake, uint32_t number)
{
    const struct store_certificate *certificate =
        store_builder_certificate(intake->builder, number);
    return store_builder_peek(intake->builder, certificate->files[STORE_CHAIN_FILE].path);
}

static uint64_t hash_of_path(const char *path)
{
    return store_hash(0, path, strlen(path));
}

static bool is_old(const void *context, uint32_t number)
{
    const struct path_search *search = context;
    return strcmp(old_path(search->intake, number), search->path) == 0;
}

static bool is_recent(const void *context, uint32_t number)
{
    const struct path_search *search = context;
    return strcmp(recent_path(search->intake, number), search->path) == 0;
}

/* Files that are used more than once have several certificates; the first stands for all. */
static bool index_old(struct intake *intake)
{
    size_t count = store_certificate_count(intake->before);
    for (uint32_t i = 0; i < count; i++) {
        const struct path_search search = {intake, old_path(intake, i)};
        uint64_t hash = hash_of_path(search.path);
        if (slots_find(&intake->old, hash, is_old, &search) == STORE_NONE &&
            !slots_add(&intake->old, hash, i))
            return false;
    }
    return true;
}

static bool make_room_for_chains(struct intake *intake)
{
    size_t count = store_chain_certificate_count(intake->before);
    intake->old_chain = malloc((count + 1) * sizeof *intake->old_chain);
    for (size_t i = 0; intake->old_chain != NULL && i < count; i++)
        intake->old_chain[i] = STORE_NONE;
    return intake->old_chain != NULL;
}

struct intake *intake_new(struct store_builder *builder, const struct store *before,
                          const struct refusals *refused)
{
    struct intake *intake = calloc(1, sizeof *intake);
    if (intake == NULL)
        return NULL;
    *intake = (struct intake){.builder = builder,
                              .before = before,
                              .refused = refused,
                              .tails = TAILS_INIT,
                              .sha256 = EVP_MD_fetch(NULL, "SHA256", NULL),
                              .hash = EVP_MD_CTX_new()};
    if (intake->sha256 != NULL && intake->hash != NULL &&
        (before == NULL || (index_old(intake) && make_room_for_chains(intake))))
        return intake;
    intake_free(intake);
    return NULL;
}

void intake_free(struct intake *intake)
{
    if (intake == NULL)
        return;
    slots_free(&intake->old);
    slots_free(&intake->recent);
    tails_free(&intake->tails);
    free(intake->old_chain);
    EVP_MD_CTX_free(intake->hash);
    EVP_MD_free(intake->sha256);
    free(intake);
}

size_t intake_read_count(const struct intake *intake)
{
    return intake->read_count;
}

/* ---- files ---- */

static int64_t ns_of(const struct timespec *time)
{
    return (int64_t)time->tv_sec * (int64_t)NS_PER_S + time->tv_nsec;
}

static struct store_file identity_of(const struct stat *status)
{
    return (struct store_file){.device = status->st_dev,
                               .inode = status->st_ino,
                               .size = (uint64_t)status->st_size,
                               .modified = ns_of(&status->st_mtim),
                               .changed = ns_of(&status->st_ctim)};
}

static bool is_same_file(const struct store_file *a, const struct store_file *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified == b->modified && a->changed == b->changed;
}

/* The files as they are now, without their paths. Zero: there is none. */
static void identify(const struct wanted *wanted, struct store_file files[STORE_FILE_COUNT])
{
    const char *const paths[] = {
        [STORE_CHAIN_FILE] = wanted->chain, [STORE_STAPLE_FILE] = wanted->staple};
    for (int i = 0; i < STORE_FILE_COUNT; i++) {
        struct stat status;
        files[i] = paths[i] != NULL && stat(paths[i], &status) == 0 ? identity_of(&status)
                                                                    : (struct store_file){0};
    }
}

/* "PATH: what: libcrypto's reason" */
static bool refuse(const char *path, const char *what, char *reason, size_t size)
{
    unsigned long code = ERR_peek_last_error();
    const char *own = code != 0 ? ERR_reason_error_string(code) : NULL;
    snprintf(reason, size, "%s: %s%s%s", path, what, own != NULL ? ": " : "",
             own != NULL ? own : "");
    ERR_clear_error();
    return false;
}

/* NULL with errno. */
static char *read_file(const struct wanted *wanted, size_t *length)
{
    if (strcmp(wanted->chain, wanted->key) != 0)
        return regular_file_read(wanted->chain, PEM_FILE_MAX, length);
    int file = regular_file_open(wanted->chain);
    if (file < 0) {
        errno = -file;
        return NULL;
    }
    char *text = pem_file_read(file, length);
    int error = errno;
    close(file);
    errno = error;
    return text;
}

/* ---- a certificate that has to be parsed ---- */

static void digest(const struct intake *intake, const void *bytes, size_t length,
                   uint8_t hash[STORE_HASH_SIZE])
{
    EVP_DigestInit_ex2(intake->hash, intake->sha256, NULL);
    EVP_DigestUpdate(intake->hash, bytes, length);
    EVP_DigestFinal_ex(intake->hash, hash, NULL);
}

static bool key_decodes(const struct leaf *leaf)
{
    const unsigned char *der = leaf->der + leaf->key_offset;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &der, (long)leaf->key_length);
    bool good = key != NULL;
    EVP_PKEY_free(key);
    return good;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void take_leaf(struct intake *intake, const struct leaf *leaf,
                      struct store_certificate *certificate)
{
    struct store_builder *builder = intake->builder;
    certificate->leaf = store_builder_bytes(builder, leaf->der, leaf->length);
    certificate->names = store_builder_bytes(builder, leaf->names, leaf->names_length);
    certificate->name_count = leaf->name_count;
    certificate->kind = leaf->kind;
    certificate->key_type = store_builder_common_text(builder, leaf->key_type);
    certificate->not_before = leaf->not_before;
    certificate->not_after = leaf->not_after;
    certificate->must_staple = leaf->must_staple;
    digest(intake, leaf->der + leaf->key_offset, leaf->key_length, certificate->key_id);
    digest(intake, leaf->names, leaf->names_length, certificate->names_hash);
}

static void take_tail(struct intake *intake, const struct leaf *leaf, const struct tail *tail,
                      struct store_certificate *certificate)
{
    certificate->chain_count = (uint32_t)tail->numbers.count;
    certificate->chain =
        store_builder_chain(intake->builder, tail->numbers.items, tail->numbers.count);
    certificate->chain_before = later(leaf->not_before, tail->not_before);
    certificate->chain_after = -later(-leaf->not_after, -tail->not_after);
    if (tail->misordered || (tail->issuer != NULL && !leaf_issued_by(leaf, tail->issuer)))
        certificate->problems = 1u << CHAIN_MISORDERED;
}

static const char no_chain[] = "not a PEM certificate chain";

static bool take_parsed(struct intake *intake, const struct wanted *wanted, struct leaf *leaf,
                        const char *rest, struct store_certificate *certificate, char *reason,
                        size_t size)
{
    if (wanted->required && !key_decodes(leaf))
        return refuse(wanted->chain, "has no usable public key", reason, size);
    const struct tail *tail = tails_take(&intake->tails, intake->builder, rest, strlen(rest));
    if (tail == NULL)
        return refuse(wanted->chain, no_chain, reason, size);
    take_leaf(intake, leaf, certificate);
    take_tail(intake, leaf, tail, certificate);
    return true;
}

static bool parse(struct intake *intake, const struct wanted *wanted, const char *text,
                  size_t length, struct store_certificate *certificate, char *reason, size_t size)
{
    unsigned char *der;
    long der_length;
    struct leaf leaf;
    BIO *bio = BIO_new_mem_buf(text, (int)length);
    ERR_clear_error();
    if (bio == NULL ||
        PEM_bytes_read_bio(&der, &der_length, NULL, PEM_STRING_X509, bio, NULL, NULL) != 1) {
        BIO_free(bio);
        return refuse(wanted->chain, no_chain, reason, size);
    }
    char *rest;
    long left = BIO_get_mem_data(bio, &rest);
    enum leaf_error error = leaf_parse(&leaf, der, (size_t)der_length);
    bool good = error == LEAF_OK ? take_parsed(intake, wanted, &leaf, left > 0 ? rest : "",
                                               certificate, reason, size)
                                 : refuse(wanted->chain, leaf_error_text(error), reason, size);
    leaf_free(&leaf);
    OPENSSL_free(der);
    BIO_free(bio);
    return good;
}

static bool read_certificate(struct intake *intake, const struct wanted *wanted,
                             struct store_certificate *certificate, char *reason, size_t size)
{
    size_t length;
    char *text = read_file(wanted, &length);
    ERR_clear_error();
    intake->read_count++;
    if (text == NULL)
        return refuse(wanted->chain, regular_file_reason(errno), reason, size);
    bool good = parse(intake, wanted, text, length, certificate, reason, size);
    free(text);
    return good;
}

/* ---- a certificate that is known ---- */

static struct store_span copy(struct intake *intake, struct store_span span)
{
    return store_builder_bytes(intake->builder, store_bytes(intake->before, span), span.length);
}

static uint32_t copy_chain_certificate(struct intake *intake, uint32_t number)
{
    size_t length;
    if (intake->old_chain[number] == STORE_NONE) {
        const uint8_t *der = store_chain_certificate(intake->before, number, &length);
        intake->old_chain[number] = store_builder_chain_certificate(intake->builder, der, length);
    }
    return intake->old_chain[number];
}

/* Takes over a certificate of the store before; `certificate` is a copy of its record. */
static void copy_old(struct intake *intake, struct store_certificate *certificate)
{
    const struct store_certificate old = *certificate;
    const uint32_t *chain = store_chain(intake->before, &old);
    certificate->leaf = copy(intake, old.leaf);
    certificate->names = copy(intake, old.names);
    certificate->key_type =
        store_builder_common_text(intake->builder, store_text(intake->before, old.key_type));
    for (uint32_t i = 0; i < old.chain_count; i++) {
        uint32_t number = copy_chain_certificate(intake, chain[i]);
        uint32_t place = store_builder_chain(intake->builder, &number, 1);
        certificate->chain = i == 0 ? place : certificate->chain;
    }
}

/* The certificate that the store before has from this file. */
static const struct store_certificate *find_old(const struct intake *intake,
                                                const struct path_search *search, uint64_t hash)
{
    uint32_t number =
        intake->before != NULL ? slots_find(&intake->old, hash, is_old, search) : STORE_NONE;
    return number != STORE_NONE ? store_certificate(intake->before, number) : NULL;
}

static bool find_known(struct intake *intake, const struct wanted *wanted,
                       const struct store_file *chain, struct store_certificate *certificate)
{
    const struct path_search search = {intake, wanted->chain};
    uint64_t hash = hash_of_path(wanted->chain);
    uint32_t number = slots_find(&intake->recent, hash, is_recent, &search);
    const struct store_certificate *recent =
        number != STORE_NONE ? store_builder_certificate(intake->builder, number) : NULL;
    if (recent != NULL && is_same_file(&recent->files[STORE_CHAIN_FILE], chain)) {
        *certificate = *recent;
        return true;
    }
    const struct store_certificate *old = find_old(intake, &search, hash);
    if (old == NULL || !is_same_file(&old->files[STORE_CHAIN_FILE], chain))
        return false;
    *certificate = *old;
    copy_old(intake, certificate);
    return true;
}

/* ---- both ---- */

/* False: the response is no use for the certificate. */
static bool put_staple(struct intake *intake, const char *bytes, size_t length,
                       struct store_certificate *certificate)
{
    struct store_span leaf = certificate->leaf;
    if (!staple_read((const uint8_t *)bytes, length, store_builder_peek(intake->builder, leaf),
                     leaf.length, &certificate->staple_before, &certificate->staple_after))
        return false;
    certificate->staple = store_builder_bytes(intake->builder, bytes, length);
    return true;
}

static bool take_staple(struct intake *intake, const struct wanted *wanted,
                        struct store_certificate *certificate, char *reason, size_t size)
{
    size_t length;
    certificate->staple = (struct store_span){0};
    certificate->problems &= ~(1u << CHAIN_MUST_STAPLE | 1u << CHAIN_BAD_STAPLE);
    if (wanted->staple != NULL) {
        char *bytes = regular_file_read(wanted->staple, STAPLE_MAX, &length);
        ERR_clear_error();
        if (bytes == NULL && !wanted->staple_is_beside)
            return refuse(wanted->staple, regular_file_reason(errno), reason, size);
        if (bytes == NULL || !put_staple(intake, bytes, length, certificate))
            certificate->problems |= 1u << CHAIN_BAD_STAPLE;
        free(bytes);
    }
    if (certificate->must_staple && certificate->staple.length == 0)
        certificate->problems |= 1u << CHAIN_MUST_STAPLE;
    return true;
}

static void note_what_is_wanted(struct intake *intake, const struct wanted *wanted,
                                const struct store_file files[STORE_FILE_COUNT],
                                struct store_certificate *certificate)
{
    struct store_builder *builder = intake->builder;
    certificate->frontend = wanted->frontend;
    certificate->route = wanted->route;
    certificate->line = wanted->line;
    certificate->required = wanted->required;
    certificate->where = store_builder_common_text(builder, wanted->where);
    certificate->policy = store_builder_common_text(builder, wanted->policy);
    certificate->tls12_groups = store_builder_common_text(builder, wanted->tls12_groups);
    certificate->pass_phrase_path = store_builder_common_text(builder, wanted->pass_phrase_file);
    memcpy(certificate->files, files, sizeof certificate->files);
    certificate->files[STORE_CHAIN_FILE].path = store_builder_text(builder, wanted->chain);
    certificate->key_path = strcmp(wanted->key, wanted->chain) == 0
                                ? certificate->files[STORE_CHAIN_FILE].path
                                : store_builder_text(builder, wanted->key);
    certificate->files[STORE_STAPLE_FILE].path = wanted->staple != NULL
                                                     ? store_builder_text(builder, wanted->staple)
                                                     : (struct store_span){0};
}

static bool remember(struct intake *intake, const struct wanted *wanted, uint32_t number)
{
    const struct path_search search = {intake, wanted->chain};
    uint64_t hash = hash_of_path(wanted->chain);
    return slots_find(&intake->recent, hash, is_recent, &search) != STORE_NONE ||
           slots_add(&intake->recent, hash, number);
}

static void add_names(struct intake *intake, const struct wanted *wanted, uint32_t number,
                      const struct store_certificate *certificate)
{
    char name[STORE_NAME_MAX + sizeof STORE_ADDRESS_PREFIX];
    struct store_span left = certificate->names;
    for (uint32_t i = 0; i < wanted->name_count; i++)
        store_builder_name(intake->builder, wanted->route, wanted->names[i], number);
    for (uint32_t i = 0; wanted->names == NULL && i < certificate->name_count; i++) {
        /* a copy, because the store's bytes move when it grows */
        snprintf(name, sizeof name, "%s", (const char *)store_builder_peek(intake->builder, left));
        left.offset += (uint32_t)strlen(name) + 1;
        store_builder_name(intake->builder, wanted->route, name, number);
    }
}

/* False: out of memory. */
static bool finish(struct intake *intake, const struct wanted *wanted,
                   const struct store_file files[STORE_FILE_COUNT],
                   struct store_certificate *certificate)
{
    note_what_is_wanted(intake, wanted, files, certificate);
    uint32_t number = store_builder_add(intake->builder, certificate);
    if (number == STORE_NONE || !remember(intake, wanted, number))
        return false;
    add_names(intake, wanted, number, certificate);
    return true;
}

static bool has_good_key(const struct intake *intake, const struct wanted *wanted,
                         const struct store_certificate *certificate, char *reason, size_t size)
{
    const char *why =
        intake->refused != NULL ? refusals_find(intake->refused, certificate->key_id) : NULL;
    if (why != NULL)
        snprintf(reason, size, "%s: immured refuses its key: %s", wanted->chain, why);
    return why == NULL;
}

bool intake_add(struct intake *intake, const struct wanted *wanted, char *reason, size_t size)
{
    struct store_certificate certificate = {0};
    struct store_file files[STORE_FILE_COUNT];
    identify(wanted, files);
    if (!find_known(intake, wanted, &files[STORE_CHAIN_FILE], &certificate) &&
        !read_certificate(intake, wanted, &certificate, reason, size))
        return false;
    if (!has_good_key(intake, wanted, &certificate, reason, size) ||
        !take_staple(intake, wanted, &certificate, reason, size))
        return false;
    return finish(intake, wanted, files, &certificate) ||
           refuse(wanted->chain, "out of memory", reason, size);
}

bool intake_keep(struct intake *intake, const struct wanted *wanted)
{
    const struct path_search search = {intake, wanted->chain};
    const struct store_certificate *old = find_old(intake, &search, hash_of_path(wanted->chain));
    if (old == NULL)
        return false;
    struct store_certificate certificate = *old;
    copy_old(intake, &certificate);
    certificate.staple = copy(intake, old->staple);
    return finish(intake, wanted, old->files, &certificate);
}
