#include "keyd/driver/provider/key.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/regular_file.h"
#include "keyd/driver/provider/operation.h"
#include "keyd/keys/files.h"
#include "keyd/sign/contexts.h"

struct device_key *device_key_new(struct key *key, const char *uri, const struct files *files,
                                  char *reason, size_t size)
{
    struct device_key *device_key = calloc(1, sizeof *device_key);
    if (device_key == NULL || (uri != NULL && (device_key->uri = strdup(uri)) == NULL)) {
        snprintf(reason, size, "out of memory");
        goto failed;
    }
    device_key->key = key;
    const char *file = uri != NULL ? files_name_of_uri(uri) : NULL;
    if (file == NULL || files_read(files, file, FILES_LONGEST, &device_key->file))
        return device_key;
    snprintf(reason, size, "%s: %s", file, regular_file_reason(errno));
failed:
    device_key_free(device_key);
    return NULL;
}

void device_key_free(struct device_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->handle);
    secret_free(&key->file);
    free(key->uri);
    free(key);
}

EVP_PKEY *device_key_find(const struct device_key *key, const struct module *module)
{
    return key->uri != NULL ? module_find_key(module, key->uri, &key->file)
                            : module_take_key(module, key->key->pair);
}

uint64_t device_key_bit(const struct wire_scheme *scheme)
{
    return UINT64_C(1) << (scheme - wire_schemes);
}

static bool verify_digest(const struct key *key, const struct wire_scheme *scheme,
                          const uint8_t *digest, size_t digest_length, const uint8_t *signature,
                          size_t length)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->public, NULL);
    bool good = context != NULL && context_set_up(context, CONTEXTS_VERIFY, scheme) &&
                EVP_PKEY_verify(context, signature, length, digest, digest_length) == 1;
    EVP_PKEY_CTX_free(context);
    return good;
}

static bool verify_message(const struct key *key, const uint8_t *message, size_t message_length,
                           const uint8_t *signature, size_t length)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL &&
                EVP_DigestVerifyInit(context, NULL, NULL, NULL, key->public) == 1 &&
                EVP_DigestVerify(context, signature, length, message, message_length) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

static bool verify(const struct operation *operation)
{
    const struct key *key = operation->key->key;
    return operation->scheme->digest != NULL
               ? verify_digest(key, operation->scheme, operation->input, operation->input_length,
                               operation->signature, operation->signature_length)
               : verify_message(key, operation->input, operation->input_length,
                                operation->signature, operation->signature_length);
}

static bool try_scheme(struct device_key *key, struct module *module, EVP_PKEY *handle,
                       const struct wire_scheme *scheme, char *reason, size_t size)
{
    static const uint8_t sample[JOB_DIGEST_MAX];
    size_t length = scheme->digest != NULL
                        ? (size_t)EVP_MD_get_size(EVP_get_digestbyname(scheme->digest))
                        : sizeof sample;
    struct operation *operation = operation_new(key, scheme, sample, length, module);
    if (operation == NULL) {
        snprintf(reason, size, "out of memory");
        return false;
    }
    EVP_PKEY_up_ref(handle);
    operation->handle = handle;
    bool done = operation_complete(operation), good = done && verify(operation);
    if (operation->abandoned) {
        snprintf(reason, size, "no answer");
        key->hanging = operation;
        return false;
    }
    if (done && !good)
        snprintf(reason, size, "its signatures do not verify");
    else if (!done)
        module_reason(reason, size);
    operation_free(operation);
    return good;
}

/* The device may have answered meanwhile. */
static bool still_hanging(struct device_key *key)
{
    bool good;
    if (key->hanging == NULL)
        return false;
    if (!operation_resume(key->hanging, &good))
        return true;
    operation_free(key->hanging);
    key->hanging = NULL;
    return false;
}

uint64_t device_key_try(struct device_key *key, struct module *module, EVP_PKEY *handle,
                        char *reason, size_t size)
{
    uint64_t serves = 0;
    if (still_hanging(key))
        snprintf(reason, size, "no answer");
    for (size_t i = 0; i < key->key->scheme_count && key->hanging == NULL; i++) {
        const struct wire_scheme *scheme = wire_scheme_find(key->key->schemes[i]);
        if (try_scheme(key, module, handle, scheme, reason, size))
            serves |= device_key_bit(scheme);
        else
            log_debug("%s: key \"%s\": %s: %s", key->key->location, key->key->name, scheme->name,
                      reason);
    }
    return serves;
}
