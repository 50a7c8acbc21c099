#include "keyd/driver/provider/operation.h"

#include <openssl/evp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct device_operation *operation_new(const struct device_key *key,
                                       const struct wire_scheme *scheme, const uint8_t *input,
                                       size_t length, struct module *module)
{
    size_t room = key->key->signature_max;
    struct device_operation *operation = calloc(1, sizeof *operation + length + room);
    if (operation == NULL)
        return NULL;
    list_init(&operation->node);
    operation->module = module;
    operation->key = key;
    operation->scheme = scheme;
    operation->input_length = length;
    operation->signature = operation->input + length;
    operation->signature_length = room;
    memcpy(operation->input, input, length);
    return operation;
}

void operation_free(struct device_operation *operation)
{
    EVP_PKEY_free(operation->handle);
    free(operation);
}

/* An engine is known to report success under RSA-PSS with an empty signature. */
bool operation_run(struct device_operation *operation)
{
    return module_sign(operation->module, operation->handle, operation->scheme, operation->input,
                       operation->input_length, operation->signature,
                       &operation->signature_length) &&
           operation->signature_length > 0;
}

static int run_in_job(void *arg)
{
    return operation_run(*(struct device_operation **)arg);
}

int operation_descriptor(const struct device_operation *operation)
{
    OSSL_ASYNC_FD descriptor;
    size_t count = 0;
    bool one = ASYNC_WAIT_CTX_get_all_fds(operation->wait, NULL, &count) == 1 && count == 1 &&
               ASYNC_WAIT_CTX_get_all_fds(operation->wait, &descriptor, &count) == 1;
    return one ? descriptor : -1;
}

bool operation_resume(struct device_operation *operation, bool *good)
{
    int result = 0;
    if (operation->wait == NULL && (operation->wait = ASYNC_WAIT_CTX_new()) == NULL) {
        *good = false;
        return true;
    }
    int outcome = ASYNC_start_job(&operation->job, operation->wait, &result, run_in_job, &operation,
                                  sizeof operation);
    if (outcome == ASYNC_PAUSE)
        return false;
    *good = outcome == ASYNC_FINISH && result != 0;
    ASYNC_WAIT_CTX_free(operation->wait);
    operation->wait = NULL;
    operation->job = NULL;
    return true;
}

bool operation_complete(struct device_operation *operation)
{
    const struct provider_config *config = operation->module->config;
    uint64_t deadline = clock_now() + config->timeout;
    bool good = false;
    if (!config->asynchronous)
        return operation_run(operation);
    while (!operation_resume(operation, &good)) {
        operation->abandoned = clock_now() >= deadline;
        if (operation->abandoned)
            return false;
        module_poll(operation->module);
        poll(NULL, 0, 1);
    }
    return good;
}
