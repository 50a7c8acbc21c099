#include "keyd/backend/provider_operation.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct operation *operation_new(const struct job *job, const struct device_key *key,
                                const struct module *module)
{
    bool whole = job->scheme->digest == NULL;
    size_t length = whole ? job->message_length : job->digest_length;
    size_t room = key->key->signature_max;
    struct operation *operation = calloc(1, sizeof *operation + length + room);
    if (operation == NULL)
        return NULL;
    list_init(&operation->node);
    operation->module = module;
    operation->key = key;
    operation->scheme = job->scheme;
    operation->input_length = length;
    operation->signature = operation->input + length;
    operation->signature_length = room;
    memcpy(operation->input, whole ? job->message : job->digest, length);
    return operation;
}

void operation_free(struct operation *operation)
{
    EVP_PKEY_free(operation->handle);
    free(operation);
}

bool operation_run(struct operation *operation)
{
    return module_sign(operation->module, operation->handle, operation->scheme, operation->input,
                       operation->input_length, operation->signature, &operation->signature_length);
}

static int run_in_job(void *arg)
{
    return operation_run(*(struct operation **)arg);
}

int flight_descriptor(const struct flight *flight)
{
    OSSL_ASYNC_FD descriptor;
    size_t count = 0;
    bool one = ASYNC_WAIT_CTX_get_all_fds(flight->wait, NULL, &count) == 1 && count == 1 &&
               ASYNC_WAIT_CTX_get_all_fds(flight->wait, &descriptor, &count) == 1;
    return one ? descriptor : -1;
}

bool flight_resume(struct flight *flight, bool *good)
{
    int result = 0;
    if (flight->wait == NULL && (flight->wait = ASYNC_WAIT_CTX_new()) == NULL) {
        *good = false;
        return true;
    }
    int outcome = ASYNC_start_job(&flight->job, flight->wait, &result, run_in_job,
                                  &flight->operation, sizeof flight->operation);
    if (outcome == ASYNC_PAUSE)
        return false;
    *good = outcome == ASYNC_FINISH && result != 0;
    ASYNC_WAIT_CTX_free(flight->wait);
    flight->wait = NULL;
    flight->job = NULL;
    return true;
}
