#include "provider/ask.h"

#include <stdio.h>
#include <string.h>

#include "provider/direct.h"
#include "provider/reason.h"
#include "provider/waiter.h"

static void take(struct ask *ask, enum immure_error error, const char *text)
{
    ask->done = true;
    ask->error = error;
    if (error != IMMURE_OK)
        snprintf(ask->error_text, sizeof ask->error_text, "%s", text);
}

static void take_output(struct ask *ask, const uint8_t *output, size_t length)
{
    ask->length = length;
    if (ask->error == IMMURE_OK && length <= ask->size)
        memcpy(ask->output, output, length);
    if (ask->answered != NULL)
        ask->answered(ask);
}

static void take_signature(void *arg, const struct immure_signature *reply)
{
    struct ask *ask = arg;
    take(ask, reply->error, reply->error_text);
    ask->backend = reply->backend;
    ask->queue_ns = reply->queue_ns;
    ask->work_ns = reply->sign_ns;
    take_output(ask, reply->signature, reply->signature_length);
}

static void take_premaster(void *arg, const struct immure_decrypted *reply)
{
    struct ask *ask = arg;
    take(ask, reply->error, reply->error_text);
    ask->backend = reply->backend;
    ask->queue_ns = reply->queue_ns;
    ask->work_ns = reply->decrypt_ns;
    take_output(ask, reply->premaster, IMMURE_PREMASTER_SIZE);
}

enum immure_error ask_send(struct ask *ask, struct immure_client *client, uint64_t deadline,
                           immure_request *id)
{
    if (ask->kind == ASK_DECRYPT) {
        struct immure_decrypt_request request = {.client_version = ask->version,
                                                 .ciphertext = ask->input,
                                                 .ciphertext_length = ask->input_length,
                                                 .deadline = deadline};
        memcpy(request.key_id, ask->key->id, sizeof request.key_id);
        return immure_decrypt(client, &request, take_premaster, ask, id);
    }
    struct immure_sign_request request = {.scheme = ask->scheme,
                                          .message = ask->input,
                                          .message_length = ask->input_length,
                                          .deadline = deadline};
    memcpy(request.key_id, ask->key->id, sizeof request.key_id);
    return immure_sign(client, &request, take_signature, ask, id);
}

void ask_fail(struct ask *ask, enum immure_error error, const char *text)
{
    take(ask, error, text);
}

bool ask_immured(struct ask *ask)
{
    struct provider *provider = ask->key->provider;
    struct immure_waiter *waiter = waiter_of_thread();
    if (!(waiter != NULL ? waiter_ask(waiter, ask) : direct_ask(ask)))
        return false;
    if (ask->error != IMMURE_OK) {
        RAISE(provider, reason_of(ask->error), "%s%s%s", ask->where != NULL ? ask->where : "",
              ask->where != NULL ? ": " : "", ask->error_text);
        return false;
    }
    if (ask->length == 0 || ask->length > ask->size) {
        RAISE(provider, REASON_OUTPUT_SIZE, "%zu bytes where %zu were expected at most",
              ask->length, ask->size);
        return false;
    }
    return true;
}
