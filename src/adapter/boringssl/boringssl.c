/* This file includes only installed headers: applications compile it with their own BoringSSL. */
#include "immure/boringssl.h"

#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* BoringSSL uses those that the key of the certificate can sign under. */
static const uint16_t schemes[] = {
    IMMURE_ECDSA_SHA256,     IMMURE_ED25519,      IMMURE_RSA_PSS_RSAE_SHA256,
    IMMURE_RSA_PKCS1_SHA256, IMMURE_ECDSA_SHA384, IMMURE_RSA_PSS_RSAE_SHA384,
    IMMURE_RSA_PKCS1_SHA384, IMMURE_ECDSA_SHA512, IMMURE_RSA_PSS_RSAE_SHA512,
    IMMURE_RSA_PKCS1_SHA512,
};

struct boringssl_key {
    uint8_t id[IMMURE_KEY_ID_SIZE];
};

struct immure_boringssl_operation {
    struct immure_boringssl_waiter *waiter;
    immure_request_id id;
    bool done;
    size_t length, room;
    uint8_t signature[];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int key_index, waiter_index; /* in the ex_data of the context and of the SSL; -1: none */

/* `text` says what the line that libssl adds ("private key operation failed") does not. */
static void raise_error(int reason, const char *text)
{
    OPENSSL_PUT_ERROR(USER, reason);
    ERR_add_error_data(2, "immure: ", text);
}

static void operation_free(struct immure_boringssl_waiter *waiter)
{
    free(waiter->operation);
    waiter->operation = NULL;
}

static void key_free(void *parent, void *key, CRYPTO_EX_DATA *data, int index, long argl,
                     void *argp)
{
    (void)parent, (void)data, (void)index, (void)argl, (void)argp;
    free(key);
}

static void ssl_freed(void *parent, void *waiting, CRYPTO_EX_DATA *data, int index, long argl,
                      void *argp)
{
    (void)parent, (void)data, (void)index, (void)argl, (void)argp;
    struct immure_boringssl_waiter *waiter = waiting;
    if (waiter == NULL || waiter->operation == NULL)
        return;
    /* If the request is done, the client may have been freed. */
    if (!waiter->operation->done) {
        immure_request_cancel(waiter->client, waiter->operation->id);
        waiter->error = IMMURE_E_CANCELLED;
    }
    operation_free(waiter);
}

static void make_indices(void)
{
    key_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, key_free);
    waiter_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, ssl_freed);
}

static void answered(void *arg, const struct immure_reply *reply)
{
    struct immure_boringssl_operation *operation = arg;
    struct immure_boringssl_waiter *waiter = operation->waiter;
    operation->done = true;
    waiter->error = reply->error;
    if (reply->error == IMMURE_OK) {
        waiter->backend = reply->backend;
        waiter->queue_ns = reply->queue_ns;
        waiter->work_ns = reply->work_ns;
        if (reply->output_length > operation->room)
            waiter->error = IMMURE_E_UNEXPECTED;
    }
    if (waiter->error == IMMURE_OK) {
        operation->length = reply->output_length;
        memcpy(operation->signature, reply->output, reply->output_length);
    }
    waiter->wake(waiter);
}

static enum immure_error ask(struct immure_boringssl_waiter *waiter,
                             const struct boringssl_key *key, size_t room, const uint8_t *message,
                             size_t length)
{
    struct immure_boringssl_operation *operation = malloc(sizeof *operation + room);
    if (operation == NULL)
        return IMMURE_E_MEMORY;
    *operation = (struct immure_boringssl_operation){.waiter = waiter, .room = room};
    struct immure_request request = {.operation = IMMURE_SIGN,
                                     .scheme = waiter->scheme,
                                     .input = message,
                                     .input_length = length,
                                     .deadline = waiter->deadline,
                                     .callback = answered,
                                     .arg = operation};
    memcpy(request.key_id, key->id, sizeof key->id);
    waiter->operation = operation;
    enum immure_error error = immure_request_submit(waiter->client, &request, &operation->id);
    if (error != IMMURE_OK)
        operation_free(waiter);
    return error;
}

static enum ssl_private_key_result_t sign(SSL *ssl, uint8_t *out, size_t *out_length, size_t room,
                                          uint16_t scheme, const uint8_t *message, size_t length)
{
    (void)out, (void)out_length; /* complete() writes the signature */
    struct immure_boringssl_waiter *waiter = SSL_get_ex_data(ssl, waiter_index);
    const struct boringssl_key *key = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), key_index);
    if (waiter == NULL || key == NULL) {
        raise_error(IMMURE_E_ARGUMENT,
                    waiter == NULL ? "the SSL has no waiter" : "the context was not attached");
        return ssl_private_key_failure;
    }
    waiter->scheme = scheme;
    waiter->backend = NULL;
    waiter->error = ask(waiter, key, room, message, length);
    if (waiter->error == IMMURE_OK)
        return ssl_private_key_retry;
    raise_error((int)waiter->error, immure_error_text(waiter->error));
    return ssl_private_key_failure;
}

static enum ssl_private_key_result_t complete(SSL *ssl, uint8_t *out, size_t *out_length,
                                              size_t room)
{
    struct immure_boringssl_waiter *waiter = SSL_get_ex_data(ssl, waiter_index);
    const struct immure_boringssl_operation *operation = waiter->operation;
    if (!operation->done)
        return ssl_private_key_retry;
    if (waiter->error == IMMURE_OK && operation->length > room)
        waiter->error = IMMURE_E_UNEXPECTED;
    if (waiter->error == IMMURE_OK) {
        memcpy(out, operation->signature, operation->length);
        *out_length = operation->length;
    }
    operation_free(waiter);
    if (waiter->error == IMMURE_OK)
        return ssl_private_key_success;
    raise_error((int)waiter->error, immure_error_text(waiter->error));
    return ssl_private_key_failure;
}

/* For RSA key exchange, BoringSSL asks for the raw operation, which would be an oracle. */
static enum ssl_private_key_result_t decrypt(SSL *ssl, uint8_t *out, size_t *out_length,
                                             size_t room, const uint8_t *in, size_t length)
{
    (void)ssl, (void)out, (void)out_length, (void)room, (void)in, (void)length;
    raise_error(IMMURE_E_POLICY, "RSA key exchange is not to be had with BoringSSL");
    return ssl_private_key_failure;
}

static const SSL_PRIVATE_KEY_METHOD method = {
    .sign = sign, .decrypt = decrypt, .complete = complete};

/* The key id: the SHA-256 of the SubjectPublicKeyInfo in the certificate. */
static bool find_key_id(const SSL_CTX *context, uint8_t id[IMMURE_KEY_ID_SIZE])
{
    X509 *certificate = SSL_CTX_get0_certificate(context);
    uint8_t *spki = NULL;
    int length =
        certificate != NULL ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &spki) : -1;
    if (length > 0)
        SHA256(spki, (size_t)length, id);
    OPENSSL_free(spki);
    return length > 0;
}

bool immure_boringssl_attach(SSL_CTX *context)
{
    struct boringssl_key *key = malloc(sizeof *key);
    pthread_once(&once, make_indices);
    if (key == NULL || key_index < 0 || waiter_index < 0) {
        raise_error(IMMURE_E_MEMORY, immure_error_text(IMMURE_E_MEMORY));
    } else if (!find_key_id(context, key->id)) {
        raise_error(IMMURE_E_ARGUMENT, "the context has no certificate");
    } else if (SSL_CTX_get_ex_data(context, key_index) != NULL) {
        raise_error(IMMURE_E_ARGUMENT, "the context is attached already");
    } else if (SSL_CTX_set_signing_algorithm_prefs(context, schemes,
                                                   sizeof schemes / sizeof schemes[0]) == 1 &&
               SSL_CTX_set_ex_data(context, key_index, key) == 1) {
        SSL_CTX_set_private_key_method(context, &method);
        return true;
    }
    free(key);
    return false;
}

bool immure_boringssl_wait_with(SSL *ssl, struct immure_boringssl_waiter *waiter)
{
    pthread_once(&once, make_indices);
    return waiter_index >= 0 && SSL_set_ex_data(ssl, waiter_index, waiter) == 1;
}
