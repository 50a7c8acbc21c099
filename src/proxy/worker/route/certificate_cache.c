#include "proxy/worker/route/certificate_cache.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "immure/openssl.h"
#include "provider/certificate.h"

bool certificate_refuse(const struct store *store, uint32_t number, struct store_span path,
                        const char *what, struct conf_error *error)
{
    const struct store_certificate *certificate = store_certificate(store, number);
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    snprintf(error->text, sizeof error->text, "%s:%u: certificate: %s: %s%s%s",
             store_text(store, certificate->where), certificate->line, store_text(store, path),
             what, reason != NULL ? ": " : "", reason != NULL ? reason : "");
    ERR_clear_error();
    return false;
}

/* ---- life ---- */

bool certificate_cache_open(struct certificate_cache *cache, const struct store *store,
                            OSSL_LIB_CTX *library, OSSL_LIB_CTX *reader, size_t most)
{
    size_t count = store_certificate_count(store);
    size_t room = most < count ? most : count;
    *cache = (struct certificate_cache){
        .store = store,
        .library = library,
        .reader = reader,
        .of = calloc(room + 1, sizeof *cache->of),
        .places = calloc(count + 1, sizeof *cache->places),
        .issuers = calloc(store_chain_certificate_count(store) + 1, sizeof *cache->issuers)};
    if (cache->of == NULL || cache->places == NULL || cache->issuers == NULL)
        return false;
    cache->room = room;
    for (size_t i = 0; i < room; i++)
        cache->of[i].number = STORE_NONE;
    return true;
}

/* Gives back what a certificate has, and its place. */
static void drop(struct certificate_cache *cache, struct certificate *certificate)
{
    if (certificate->number == STORE_NONE)
        return;
    const struct store *store = cache->store;
    const struct store_certificate *stored = store_certificate(store, certificate->number);
    const uint32_t *numbers = store_chain(store, stored);
    for (int i = 0; i < sk_X509_num(certificate->chain); i++) {
        struct issuer *issuer = &cache->issuers[numbers[i]];
        if (--issuer->uses > 0)
            continue;
        X509_free(issuer->certificate);
        issuer->certificate = NULL;
    }
    sk_X509_free(certificate->chain);
    X509_free(certificate->leaf);
    EVP_PKEY_free(certificate->key);
    cache->places[certificate->number] = 0;
    *certificate = (struct certificate){.number = STORE_NONE};
}

bool certificate_cache_clear(struct certificate_cache *cache, size_t most)
{
    for (; cache->room > 0 && most > 0; most--)
        drop(cache, &cache->of[--cache->room]);
    return cache->room > 0;
}

void certificate_cache_close(struct certificate_cache *cache)
{
    certificate_cache_clear(cache, SIZE_MAX);
    for (size_t i = 0; cache->keys != NULL && i < store_certificate_count(cache->store); i++)
        EVP_PKEY_free(cache->keys[i]);
    free(cache->keys);
    free(cache->of);
    free(cache->places);
    free(cache->issuers);
}

/* ---- parsing ---- */

static X509 *parse(const struct certificate_cache *cache, const uint8_t *der, size_t length)
{
    X509 *certificate = X509_new_ex(cache->library, IMMURE_OPENSSL_PROPERTIES);
    if (certificate != NULL && d2i_X509(&certificate, &der, (long)length) != NULL)
        return certificate;
    X509_free(certificate);
    return NULL;
}

static bool add_issuer(struct certificate_cache *cache, struct certificate *made, uint32_t number)
{
    struct issuer *issuer = &cache->issuers[number];
    size_t length;
    const uint8_t *der = store_chain_certificate(cache->store, number, &length);
    if (issuer->certificate == NULL)
        issuer->certificate = parse(cache, der, length);
    if (issuer->certificate == NULL || sk_X509_push(made->chain, issuer->certificate) <= 0)
        return false;
    issuer->uses++;
    return true;
}

/* The public key of a certificate that is read with the cache's reader is the reference to the
 * private one. */
static bool add_leaf(const struct certificate_cache *cache, struct certificate *made,
                     const struct store_certificate *stored)
{
    const uint8_t *der = store_bytes(cache->store, stored->leaf);
    bool is_here = cache->keys != NULL;
    made->leaf = is_here ? parse(cache, der, stored->leaf.length)
                         : certificate_read(cache->reader, der, stored->leaf.length);
    if (made->leaf == NULL)
        return false;
    made->key = is_here ? cache->keys[made->number] : X509_get0_pubkey(made->leaf);
    EVP_PKEY_up_ref(made->key);
    return true;
}

static bool fill(struct certificate_cache *cache, struct certificate *made, uint32_t number)
{
    const struct store *store = cache->store;
    const struct store_certificate *stored = store_certificate(store, number);
    const uint32_t *numbers = store_chain(store, stored);
    made->number = number;
    made->chain = sk_X509_new_null();
    bool good = made->chain != NULL && add_leaf(cache, made, stored);
    for (uint32_t i = 0; good && i < stored->chain_count; i++)
        good = add_issuer(cache, made, numbers[i]);
    return good;
}

/* ---- the cache ---- */

/* One round over all places at most: then each has lost its mark. */
static struct certificate *find_place(struct certificate_cache *cache)
{
    for (;;) {
        struct certificate *at = &cache->of[cache->next];
        cache->next = (cache->next + 1) % cache->room;
        if (!at->asked_again)
            return at;
        at->asked_again = false;
    }
}

const struct certificate *certificate_cache_take(struct certificate_cache *cache, uint32_t number)
{
    uint32_t place = cache->places[number];
    if (place > 0) {
        cache->of[place - 1].asked_again = true;
        return &cache->of[place - 1];
    }
    struct certificate *certificate = find_place(cache);
    drop(cache, certificate);
    if (!fill(cache, certificate, number)) {
        drop(cache, certificate);
        return NULL;
    }
    cache->places[number] = (uint32_t)(certificate - cache->of) + 1;
    return certificate;
}

/* ---- keys in this process ---- */

/* The pass-phrase is the first line of a file; without one, a key that needs it is an error (and
 * never a prompt on the terminal). */
static int read_pass_phrase(char *phrase, int size, int writing, void *argument)
{
    (void)writing;
    const char *path = argument;
    FILE *file = path[0] != '\0' ? fopen(path, "r") : NULL;
    if (file == NULL)
        return -1;
    char *line = fgets(phrase, size, file);
    fclose(file);
    if (line == NULL)
        return -1;
    phrase[strcspn(phrase, "\r\n")] = '\0';
    return (int)strlen(phrase);
}

static EVP_PKEY *read_key(const struct certificate_cache *cache,
                          const struct store_certificate *stored)
{
    const struct store *store = cache->store;
    BIO *file = BIO_new_file(store_text(store, stored->key_path), "r");
    EVP_PKEY *key = NULL;
    if (file != NULL)
        key = PEM_read_bio_PrivateKey_ex(file, NULL, read_pass_phrase,
                                         (void *)store_text(store, stored->pass_phrase_path),
                                         cache->library, IMMURE_OPENSSL_PROPERTIES);
    BIO_free(file);
    return key;
}

bool certificate_cache_read_keys(struct certificate_cache *cache, struct conf_error *error)
{
    size_t count = store_certificate_count(cache->store);
    cache->keys = calloc(count + 1, sizeof(EVP_PKEY *));
    ERR_clear_error();
    for (uint32_t i = 0; cache->keys != NULL && i < count; i++) {
        const struct store_certificate *stored = store_certificate(cache->store, i);
        cache->keys[i] = read_key(cache, stored);
        if (cache->keys[i] == NULL)
            return certificate_refuse(cache->store, i, stored->key_path, "the key cannot be loaded",
                                      error);
        const struct certificate *certificate = certificate_cache_take(cache, i);
        if (certificate == NULL || X509_check_private_key(certificate->leaf, certificate->key) != 1)
            return certificate_refuse(cache->store, i, stored->key_path,
                                      "is not the key of the certificate", error);
    }
    return cache->keys != NULL;
}
