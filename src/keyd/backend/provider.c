#include "keyd/backend/provider.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "keyd/backend/provider_calls.h"
#include "keyd/backend/provider_device.h"
#include "keyd/backend/provider_module.h"
#include "keyd/contexts.h"
#include "keyd/sample.h"
#include "wire/stats.h"

struct provider {
    struct backend backend;
    struct device *device;
    char *name; /* "provider:NAME" */
    int calls[PROVIDER_CALLS_MAX];
};

struct provider_thread {
    void *libcrypto; /* backend_openssl's, for what the device does not sign */
    struct contexts *verifier;
    EVP_MD_CTX *ed25519;
};

static void provider_thread_free(void *arg)
{
    struct provider_thread *thread = arg;
    if (thread->libcrypto != NULL)
        backend_openssl.thread_free(thread->libcrypto);
    contexts_free(thread->verifier);
    EVP_MD_CTX_free(thread->ed25519);
    free(thread);
}

static void *provider_thread_new(void)
{
    struct provider_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL)
        return NULL;
    thread->libcrypto = backend_openssl.thread_new();
    thread->verifier = contexts_new(CONTEXTS_VERIFY);
    thread->ed25519 = EVP_MD_CTX_new();
    if (thread->libcrypto != NULL && thread->verifier != NULL && thread->ed25519 != NULL)
        return thread;
    provider_thread_free(thread);
    return NULL;
}

static size_t provider_width(const struct key *key)
{
    size_t width = key->device != NULL ? device_width(key->device) : 0;
    return width < BACKEND_BATCH_MAX ? width : BACKEND_BATCH_MAX;
}

static bool provider_key_prepare(struct key *key)
{
    return key->prepared != NULL || device_take_key(key->device, key);
}

static void provider_key_release(struct key *key)
{
    if (key->prepared != NULL)
        device_release_key(key->device, key);
}

static bool verify_message(struct provider_thread *thread, const struct job *job)
{
    /* without the reset the context would go on with the key that it has */
    return EVP_MD_CTX_reset(thread->ed25519) == 1 &&
           EVP_DigestVerifyInit(thread->ed25519, NULL, NULL, NULL, job->key->pair) == 1 &&
           EVP_DigestVerify(thread->ed25519, job->signature, job->signature_length, job->message,
                            job->message_length) == 1;
}

static bool verify_digest(struct provider_thread *thread, const struct job *job)
{
    EVP_PKEY_CTX *context = contexts_get(thread->verifier, job->key, job->scheme);
    return context != NULL && EVP_PKEY_verify(context, job->signature, job->signature_length,
                                              job->digest, job->digest_length) == 1;
}

static void provider_sign(void *arg, struct job *const *batch, size_t count)
{
    struct provider_thread *thread = arg;
    device_sign(batch[0]->key->device, batch, count);
    for (size_t i = 0; i < count; i++) {
        struct job *job = batch[i];
        if (job->error == IMMURE_E_DEVICE && !job->key->in_device) {
            job->error = IMMURE_OK;
            job->backend = &backend_openssl;
            backend_openssl.sign(thread->libcrypto, &job, 1);
        } else if (job->error == IMMURE_OK &&
                   !(job->scheme->digest != NULL ? verify_digest(thread, job)
                                                 : verify_message(thread, job))) {
            job->error = IMMURE_E_SIGNING;
        }
    }
}

static const struct backend template = {.number = WIRE_BACKEND_PROVIDER,
                                        .fallback = true,
                                        .waits = true,
                                        .verifies = true,
                                        .width = provider_width,
                                        .key_prepare = provider_key_prepare,
                                        .key_release = provider_key_release,
                                        .thread_new = provider_thread_new,
                                        .thread_free = provider_thread_free,
                                        .sign = provider_sign};

static bool provider_open(struct provider *provider, const struct provider_config *config,
                          const struct file_table *files)
{
    char reason[512] = "out of memory", calls[1024];
    provider->backend = template;
    provider->backend.more_calls = provider->calls;
    if (asprintf(&provider->name, PROVIDER_PREFIX "%s", config->name) < 0)
        provider->name = NULL;
    provider->backend.name = provider->name;
    if (provider->name != NULL &&
        provider_calls(config, provider->calls, calls, sizeof calls, reason, sizeof reason))
        provider->device = device_open(config, files, reason, sizeof reason);
    if (provider->device == NULL) {
        log_error("%s: provider \"%s\": %s", config->location, config->name, reason);
        return false;
    }
    log_info("provider \"%s\": immured may also make the system calls %s", config->name, calls);
    return true;
}

bool providers_open(struct providers *providers, const struct config *config,
                    const struct file_table *files, const struct backend *const *backends)
{
    size_t count = 0;
    while (backends[count] != NULL)
        count++;
    providers->backends = calloc(count + config->provider_count + 1, sizeof(struct backend *));
    providers->list = calloc(config->provider_count + 1, sizeof *providers->list);
    if (providers->backends == NULL || providers->list == NULL) {
        log_error("providers: out of memory");
        return false;
    }
    memcpy(providers->backends, backends, count * sizeof(struct backend *));
    modules_init();
    bool good = true;
    for (size_t i = 0; i < config->provider_count; i++) {
        good &= provider_open(&providers->list[i], &config->providers[i], files);
        providers->backends[count + i] = &providers->list[i].backend;
        providers->count++;
    }
    return good;
}

struct device *providers_find_device(const struct providers *providers, const char *backend)
{
    for (size_t i = 0; i < providers->count; i++)
        if (strcmp(providers->list[i].name, backend) == 0)
            return providers->list[i].device;
    return NULL;
}

bool providers_start(struct providers *providers)
{
    if (providers->count > 0)
        modules_pin();
    for (size_t i = 0; i < providers->count; i++)
        if (!device_start(providers->list[i].device))
            return false;
    return true;
}

static bool try_key(const struct key *key, struct signer *signer)
{
    struct sample sample;
    bool pss = wire_scheme_find(key->schemes[0])->pss;
    if (!sample_make(&sample, key, pss, 1)) {
        log_error("providers: out of memory");
        return false;
    }
    signer_sign(signer, sample.jobs, 1);
    bool good = sample.jobs[0]->error == IMMURE_OK;
    sample_free(&sample);
    if (!good)
        log_error("%s: key \"%s\": the provider \"%s\" signed with it, but not as immured's user",
                  key->location, key->name, device_name(key->device));
    return good;
}

bool providers_try(struct signer *signer, struct key *const *keys, size_t count)
{
    bool good = true;
    for (size_t i = 0; i < count; i++)
        if (keys[i]->in_device)
            good &= try_key(keys[i], signer);
    return good;
}

bool providers_stop(struct providers *providers)
{
    bool stopped = true;
    for (size_t i = 0; i < providers->count; i++)
        stopped &= device_stop(providers->list[i].device);
    return stopped;
}

void providers_free(struct providers *providers)
{
    for (size_t i = 0; i < providers->count; i++) {
        device_free(providers->list[i].device);
        free(providers->list[i].name);
    }
    free(providers->list);
    free(providers->backends);
}
