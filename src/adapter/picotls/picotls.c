/* This file includes only installed headers: applications compile it with their own picotls. */
#include "immure/picotls.h"

#include <stdlib.h>
#include <string.h>

/* A signature that a connection waits for. */
struct picotls_job {
    ptls_async_job_t super; /* first */
    struct immure_picotls_signer *signer;
    ptls_t *tls;
    struct immure_client *client;
    immure_request_id id;
    uint16_t scheme;
    bool done;
    bool telling;   /* told() is running, and may free the connection */
    bool destroyed; /* it has freed it */
    enum immure_error error;
    uint8_t *signature; /* owned */
    size_t length;
    void (*wake)(void *);
    void *wake_data;
};

/* How the AlgorithmIdentifier of a SubjectPublicKeyInfo begins (RFC 3279, 4055, 5480, 8410 and
 * 9881), and the SignatureSchemes of such a key in TLS 1.3. */
static const struct {
    const char *algorithm;
    size_t length;
    uint16_t schemes[IMMURE_PICOTLS_SCHEMES_MAX];
} key_types[] = {
#define OID(text) text, sizeof text - 1
    {OID("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"),
     {IMMURE_RSA_PSS_RSAE_SHA256, IMMURE_RSA_PSS_RSAE_SHA384, IMMURE_RSA_PSS_RSAE_SHA512}},
    {OID("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"),
     {IMMURE_RSA_PSS_PSS_SHA256, IMMURE_RSA_PSS_PSS_SHA384, IMMURE_RSA_PSS_PSS_SHA512}},
    {OID("\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"),
     {IMMURE_ECDSA_SHA256}},
    {OID("\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22"),
     {IMMURE_ECDSA_SHA384}},
    {OID("\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23"),
     {IMMURE_ECDSA_SHA512}},
    {OID("\x06\x03\x2b\x65\x70"), {IMMURE_ED25519}},
    {OID("\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11"), {IMMURE_MLDSA44}},
    {OID("\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x12"), {IMMURE_MLDSA65}},
    {OID("\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x13"), {IMMURE_MLDSA87}},
#undef OID
};

static void job_destroy(ptls_async_job_t *self)
{
    struct picotls_job *job = (struct picotls_job *)self;
    if (job->telling) {
        job->destroyed = true; /* answered() will destroy it */
        return;
    }
    /* If the request is done, the client may have been freed. */
    if (!job->done)
        immure_request_cancel(job->client, job->id);
    free(job->signature);
    free(job);
}

static void job_set_completion_callback(ptls_async_job_t *self, void (*callback)(void *),
                                        void *data)
{
    struct picotls_job *job = (struct picotls_job *)self;
    job->wake = callback;
    job->wake_data = data;
    if (job->done)
        callback(data);
}

static void answered(void *arg, const struct immure_reply *reply)
{
    struct picotls_job *job = arg;
    job->done = true;
    job->error = reply->error;
    if (reply->error == IMMURE_OK) {
        job->signature = malloc(reply->output_length);
        if (job->signature == NULL) {
            job->error = IMMURE_E_MEMORY;
        } else {
            memcpy(job->signature, reply->output, reply->output_length);
            job->length = reply->output_length;
        }
    }
    job->telling = true;
    if (job->signer->told != NULL)
        job->signer->told(job->signer, job->tls, reply);
    job->telling = false;
    if (job->destroyed)
        job_destroy(&job->super);
    else if (job->wake != NULL)
        job->wake(job->wake_data); /* this may free the connection, and the job with it, too */
}

/* The first of ours, which are in the order of preference, that is offered. 0: none. */
static uint16_t choose_scheme(const struct immure_picotls_signer *signer, const uint16_t *offered,
                              size_t count)
{
    for (size_t i = 0; i < signer->scheme_count; i++)
        for (size_t j = 0; j < count; j++)
            if (signer->schemes[i] == offered[j])
                return offered[j];
    return 0;
}

static int begin(struct immure_picotls_signer *signer, ptls_t *tls, ptls_async_job_t **async,
                 ptls_iovec_t message, uint16_t scheme)
{
    uint64_t deadline = 0;
    struct immure_client *client = signer->client(signer, tls, &deadline);
    if (client == NULL)
        return PTLS_ALERT_INTERNAL_ERROR;
    struct picotls_job *job = malloc(sizeof *job);
    if (job == NULL)
        return PTLS_ERROR_NO_MEMORY;
    *job = (struct picotls_job){
        .super = {.destroy_ = job_destroy, .set_completion_callback = job_set_completion_callback},
        .signer = signer,
        .tls = tls,
        .client = client,
        .scheme = scheme};
    struct immure_request request = {.operation = IMMURE_SIGN,
                                     .scheme = scheme,
                                     .input = message.base,
                                     .input_length = message.len,
                                     .deadline = deadline,
                                     .callback = answered,
                                     .arg = job};
    memcpy(request.key_id, signer->key_id, sizeof request.key_id);
    enum immure_error error = immure_request_submit(client, &request, &job->id);
    if (error != IMMURE_OK) {
        free(job);
        return error == IMMURE_E_MEMORY ? PTLS_ERROR_NO_MEMORY : PTLS_ALERT_INTERNAL_ERROR;
    }
    *async = &job->super;
    return PTLS_ERROR_ASYNC_OPERATION;
}

/* picotls calls this whenever the application calls ptls_handshake(). */
static int finish(ptls_async_job_t **async, uint16_t *scheme, ptls_buffer_t *output)
{
    struct picotls_job *job = (struct picotls_job *)*async;
    if (!job->done)
        return PTLS_ERROR_ASYNC_OPERATION;
    int ret = PTLS_ALERT_INTERNAL_ERROR; /* the macros of picotls need this name */
    if (job->error != IMMURE_OK)
        goto Exit;
    *scheme = job->scheme;
    ptls_buffer_pushv(output, job->signature, job->length);
    ret = 0;
Exit:
    *async = NULL;
    job_destroy(&job->super);
    return ret;
}

static int sign_certificate(ptls_sign_certificate_t *self, ptls_t *tls, ptls_async_job_t **async,
                            uint16_t *scheme, ptls_buffer_t *output, ptls_iovec_t message,
                            const uint16_t *offered, size_t count)
{
    struct immure_picotls_signer *signer = (struct immure_picotls_signer *)self;
    if (async == NULL)
        return PTLS_ERROR_LIBRARY; /* the TLS client of a connection, which cannot wait */
    if (*async != NULL)
        return finish(async, scheme, output);
    uint16_t chosen = choose_scheme(signer, offered, count);
    return chosen == 0 ? PTLS_ALERT_HANDSHAKE_FAILURE : begin(signer, tls, async, message, chosen);
}

/* The value of the SEQUENCE at *at, which must end by `end`. NULL: there is none. */
static const uint8_t *sequence(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 2 || at[0] != 0x30)
        return NULL;
    size_t octets = at[1] < 0x80 ? 0 : at[1] & 0x7fU;
    return octets > 2 || (size_t)(end - at) < 2 + octets ? NULL : at + 2 + octets;
}

bool immure_picotls_signer_init(struct immure_picotls_signer *signer,
                                const uint8_t key_id[IMMURE_KEY_ID_SIZE], const uint8_t *spki,
                                size_t spki_length)
{
    *signer = (struct immure_picotls_signer){.super = {.cb = sign_certificate}};
    memcpy(signer->key_id, key_id, sizeof signer->key_id);
    const uint8_t *end = spki + spki_length;
    const uint8_t *algorithm = sequence(spki, end);
    algorithm = algorithm != NULL ? sequence(algorithm, end) : NULL;
    for (size_t i = 0; algorithm != NULL && i < sizeof key_types / sizeof key_types[0]; i++) {
        if ((size_t)(end - algorithm) < key_types[i].length ||
            memcmp(algorithm, key_types[i].algorithm, key_types[i].length) != 0)
            continue;
        memcpy(signer->schemes, key_types[i].schemes, sizeof signer->schemes);
        while (signer->scheme_count < IMMURE_PICOTLS_SCHEMES_MAX &&
               signer->schemes[signer->scheme_count] != 0)
            signer->scheme_count++;
        return true;
    }
    return false;
}
