#include "keyd/backend/provider/provider.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "keyd/backend/provider/calls.h"
#include "keyd/backend/provider/device.h"
#include "keyd/backend/provider/module.h"
#include "keyd/sign/sample.h"
#include "walls/threads.h"
#include "wire/stats.h"

struct provider {
    struct backend backend;
    struct device *device;
    char *name; /* "provider:NAME" */
    int calls[PROVIDER_CALLS_MAX];
};

/* A thread's state is backend_openssl's, for what the device does not sign. */
static void *provider_thread_new(void)
{
    return backend_openssl.thread_new();
}

static void provider_thread_free(void *thread)
{
    backend_openssl.thread_free(thread);
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

static void provider_sign(void *thread, struct job *const *batch, size_t count)
{
    device_sign(batch[0]->key->device, batch, count);
    for (size_t i = 0; i < count; i++) {
        struct job *job = batch[i];
        if (job->error != IMMURE_E_DEVICE || job->key->in_device)
            continue;
        job->error = IMMURE_OK;
        job->backend = &backend_openssl;
        backend_openssl.sign(thread, &job, 1);
    }
}

static const struct backend template = {.number = WIRE_BACKEND_PROVIDER,
                                        .fallback = true,
                                        .waits = true,
                                        .width = provider_width,
                                        .key_prepare = provider_key_prepare,
                                        .key_release = provider_key_release,
                                        .thread_new = provider_thread_new,
                                        .thread_free = provider_thread_free,
                                        .sign = provider_sign};

/* What a module starts by itself is there before the walls are (keyd/process/sandbox.c). */
static void tell_threads(const struct provider_config *config, size_t before)
{
    size_t now = threads_count();
    if (now > before)
        log_info("provider \"%s\": its module has started %zu thread%s, which neither Landlock nor "
                 "the namespaces will hold; the list of system calls will",
                 config->name, now - before, now - before == 1 ? "" : "s");
}

static bool provider_open(struct provider *provider, const struct provider_config *config,
                          const struct files *files)
{
    char reason[512] = "out of memory", calls[1024];
    provider->backend = template;
    provider->backend.more_calls = provider->calls;
    if (asprintf(&provider->name, PROVIDER_PREFIX "%s", config->name) < 0)
        provider->name = NULL;
    provider->backend.name = provider->name;
    size_t threads = threads_count();
    if (provider->name != NULL &&
        provider_calls(config, provider->calls, calls, sizeof calls, reason, sizeof reason))
        provider->device = device_open(config, files, reason, sizeof reason);
    if (provider->device == NULL) {
        log_error("%s: provider \"%s\": %s", config->location, config->name, reason);
        return false;
    }
    log_info("provider \"%s\": immured may also make the system calls %s", config->name, calls);
    tell_threads(config, threads);
    return true;
}

bool providers_open(struct providers *providers, const struct provider_config *configs,
                    size_t provider_count, const struct files *files,
                    const struct backend *const *backends)
{
    size_t count = 0;
    while (backends[count] != NULL)
        count++;
    providers->backends = calloc(count + provider_count + 1, sizeof(struct backend *));
    providers->list = calloc(provider_count + 1, sizeof *providers->list);
    if (providers->backends == NULL || providers->list == NULL) {
        log_error("providers: out of memory");
        return false;
    }
    memcpy(providers->backends, backends, count * sizeof(struct backend *));
    modules_init();
    bool good = true;
    for (size_t i = 0; i < provider_count; i++) {
        good &= provider_open(&providers->list[i], &configs[i], files);
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
