#include "keyd/sign/sample.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/log.h"

/* A TLS 1.3 server's message with an all-zero transcript hash. */
#define MESSAGE_SIZE 130
static const uint8_t message[MESSAGE_SIZE] = "                                "
                                             "                                "
                                             "TLS 1.3, server CertificateVerify";

/* If the key has only one padding, as RSA-PSS keys do, this is its first scheme. */
static const struct wire_scheme *find_scheme(const struct key *key, bool pss)
{
    for (size_t i = 0; i < key->scheme_count; i++) {
        const struct wire_scheme *scheme = wire_scheme_find(key->schemes[i]);
        if (scheme->pss == pss)
            return scheme;
    }
    return key->scheme_count > 0 ? wire_scheme_find(key->schemes[0]) : NULL;
}

bool sample_make(struct sample *sample, const struct key *key, bool pss, size_t count)
{
    sample->count = 0;
    const struct wire_scheme *scheme = find_scheme(key, pss);
    while (scheme != NULL && sample->count < count) {
        struct job *job = job_new(key, scheme, message, sizeof message);
        if (job == NULL)
            break;
        sample->jobs[sample->count++] = job;
    }
    if (sample->count == count)
        return true;
    sample_free(sample);
    return false;
}

static bool verify(const struct job *job)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters;
    bool good =
        context != NULL && job->error == IMMURE_OK &&
        EVP_DigestVerifyInit_ex(context, &parameters, job->scheme->digest, NULL, NULL,
                                job->key->public, NULL) == 1 &&
        (!job->scheme->pss || EVP_PKEY_CTX_ctrl_str(parameters, "rsa_padding_mode", "pss") > 0) &&
        EVP_DigestVerify(context, job->result, job->result_length, job->message,
                         job->message_length) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}

bool sample_good(const struct sample *sample)
{
    for (size_t i = 0; i < sample->count; i++) {
        const struct job *job = sample->jobs[i];
        if (verify(job))
            continue;
        log_error("%s: key \"%s\": does not make good signatures: the key is damaged",
                  job->key->location, job->key->name);
        return false;
    }
    return true;
}

void sample_free(struct sample *sample)
{
    while (sample->count > 0)
        job_free(sample->jobs[--sample->count]);
}
