/*
 * The driver that makes eight signatures at a time in the lanes of AVX-512 IFMA, with Intel's
 * crypto_mb. An algorithm that fails its known-answer test is not used.
 */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "keyd/driver/multibuffer/config.h"
#include "keyd/driver/multibuffer/lanes.h"
#include "keyd/sign/driver.h"
#include "wire/stats.h"

/* More stack than the library and its callers in this driver use. */
#define STACK_TOUCHED (32 * 1024)

static const struct lanes_algorithm algorithms[] = {
    {"RSA-2048", WIRE_KEY_RSA, 2048, MULTIBUFFER_RSA_2048, rsa_prepare, rsa_release, rsa_sign,
     rsa_known_answers},
    {"RSA-3072", WIRE_KEY_RSA, 3072, MULTIBUFFER_RSA_3072, rsa_prepare, rsa_release, rsa_sign,
     rsa_known_answers},
    {"RSA-4096", WIRE_KEY_RSA, 4096, MULTIBUFFER_RSA_4096, rsa_prepare, rsa_release, rsa_sign,
     rsa_known_answers},
    {"ECDSA P-256", WIRE_KEY_EC, 256, MULTIBUFFER_P256, ecdsa_prepare, NULL, ecdsa_sign,
     ecdsa_known_answers},
    {"ECDSA P-384", WIRE_KEY_EC, 384, MULTIBUFFER_P384, ecdsa_prepare, NULL, ecdsa_sign,
     ecdsa_known_answers},
    {"Ed25519", WIRE_KEY_ED25519, 0, MULTIBUFFER_ED25519, ed25519_prepare, NULL, ed25519_sign,
     ed25519_known_answers},
};
#define ALGORITHMS (sizeof algorithms / sizeof algorithms[0])

struct multibuffer {
    struct multibuffer_library library;
    bool serves[ALGORITHMS];
};

/* NULL: no algorithm serves this key. */
static const struct lanes_algorithm *find_algorithm(const struct multibuffer *multibuffer,
                                                    const struct key *key)
{
    for (size_t i = 0; multibuffer != NULL && i < ALGORITHMS; i++)
        if (multibuffer->serves[i] && algorithms[i].type == key->type &&
            (algorithms[i].bits == key->bits || algorithms[i].bits == 0))
            return &algorithms[i];
    return NULL;
}

static size_t multibuffer_width(const struct driver *driver, const struct key *key)
{
    return find_algorithm(driver->state, key) != NULL ? LANES : 0;
}

static size_t multibuffer_small_width(const struct key *key)
{
    return halves_serve(key) ? HALVES_MAX : LANES;
}

static bool multibuffer_key_prepare(const struct driver *driver, struct key *key)
{
    return lanes_key_prepare(find_algorithm(driver->state, key), key);
}

static void multibuffer_thread_free(void *arg)
{
    struct lanes_thread *thread = arg;
    ecdsa_numbers_free(thread->ecdsa);
    EVP_MD_CTX_free(thread->hash);
    EVP_MD_free(thread->sha256);
    EVP_MD_free(thread->sha384);
    EVP_MD_free(thread->sha512);
    secret_free(&thread->memory);
    free(thread);
}

static bool equip(struct lanes_thread *thread)
{
    if (!secret_new(&thread->memory, sizeof(union lanes_work)))
        return false;
    thread->work = (union lanes_work *)thread->memory.bytes;
    return (thread->ecdsa = ecdsa_numbers_new()) != NULL &&
           (thread->hash = EVP_MD_CTX_new()) != NULL &&
           (thread->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL)) != NULL &&
           (thread->sha384 = EVP_MD_fetch(NULL, "SHA384", NULL)) != NULL &&
           (thread->sha512 = EVP_MD_fetch(NULL, "SHA512", NULL)) != NULL;
}

static struct lanes_thread *thread_new(const struct multibuffer *multibuffer)
{
    struct lanes_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL || multibuffer == NULL)
        return thread;
    thread->library = &multibuffer->library;
    if (equip(thread))
        return thread;
    multibuffer_thread_free(thread);
    return NULL;
}

static void *multibuffer_thread_new(const struct driver *driver)
{
    return thread_new(driver->state);
}

/* Must not be inlined: its frame has to cover those that the library used. */
__attribute__((noinline, no_sanitize("address"))) static void cleanse_stack(void)
{
    uint8_t below[STACK_TOUCHED];
    OPENSSL_cleanse(below, sizeof below);
}

static void multibuffer_sign(const struct driver *driver, void *thread, struct job *const *batch,
                             size_t count)
{
    (void)driver;
    const struct lanes_key *lanes = batch[0]->key->prepared;
    for (size_t begin = 0; begin < count; begin += LANES)
        lanes->algorithm->sign(thread, batch + begin,
                               count - begin < LANES ? count - begin : LANES);
    cleanse_stack();
}

static bool scratch_fits(const struct multibuffer_library *library,
                         const struct lanes_algorithm *algorithm)
{
    if (algorithm->type != WIRE_KEY_RSA)
        return true;
    size_t size = rsa_scratch_size(library, algorithm->bits);
    return size > 0 && size <= sizeof((union lanes_work *)NULL)->rsa.scratch;
}

/* Tests one algorithm, and logs its name if it fails. */
static bool try_algorithm(struct lanes_thread *thread, const struct lanes_algorithm *algorithm)
{
    bool good =
        scratch_fits(thread->library, algorithm) && algorithm->known_answers(thread, algorithm);
    ERR_clear_error();
    if (!good)
        log_warning("backend multibuffer: %s does not pass its known-answer test in %s: not used",
                    algorithm->name, thread->library->name);
    return good;
}

static bool try_algorithms(struct multibuffer *multibuffer, char *reason, size_t size)
{
    const struct multibuffer_library *library = &multibuffer->library;
    struct lanes_thread *thread = thread_new(multibuffer);
    if (thread == NULL) {
        snprintf(reason, size, "out of memory");
        return false;
    }
    size_t offered = 0, good = 0;
    for (size_t i = 0; i < ALGORITHMS; i++) {
        if ((library->algorithm_info(algorithms[i].number) & LANES) == 0)
            continue;
        offered++;
        multibuffer->serves[i] = try_algorithm(thread, &algorithms[i]);
        good += multibuffer->serves[i];
    }
    multibuffer_thread_free(thread);
    if (offered == 0)
        snprintf(reason, size, "the processor lacks AVX-512 IFMA, says %s", library->name);
    else if (good == 0)
        snprintf(reason, size, "%s passes no known-answer test", library->name);
    return good > 0;
}

static bool multibuffer_open(struct driver *driver, const struct files *files, char *reason,
                             size_t size)
{
    (void)files;
    const struct multibuffer_config *config = driver->settings;
    struct multibuffer *multibuffer = calloc(1, sizeof *multibuffer);
    if (multibuffer == NULL)
        snprintf(reason, size, "out of memory");
    else if (multibuffer_library_open(&multibuffer->library, config->library, reason, size) &&
             try_algorithms(multibuffer, reason, size)) {
        driver->state = multibuffer;
        return true;
    }
    free(multibuffer);
    return false;
}

static void multibuffer_close(struct driver *driver)
{
    free(driver->state);
    driver->state = NULL;
}

const struct driver driver_multibuffer = {.name = WIRE_NAME_MULTIBUFFER,
                                          .number = WIRE_BACKEND_MULTIBUFFER,
                                          .figure = WIRE_STAT_SIGNATURES_MULTIBUFFER_TOTAL,
                                          .lanes = true,
                                          .fallback = true,
                                          .open = multibuffer_open,
                                          .width = multibuffer_width,
                                          .small_width = multibuffer_small_width,
                                          .key_prepare = multibuffer_key_prepare,
                                          .close = multibuffer_close,
                                          .thread_new = multibuffer_thread_new,
                                          .thread_free = multibuffer_thread_free,
                                          .sign = multibuffer_sign};
