#include "keyd/driver/provider/trial.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/log.h"
#include "keyd/driver/provider/operation.h"
#include "keyd/sign/contexts.h"

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

static bool verify(const struct device_operation *operation)
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
    struct device_operation *operation = operation_new(key, scheme, sample, length, module);
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

/* Whether the trial is still without an answer. Frees it if the device has answered meanwhile. */
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
