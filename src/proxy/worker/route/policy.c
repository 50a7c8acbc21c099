#include "proxy/worker/route/policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/worker/route/client_check.h"
#include "proxy/worker/transport/announced.h"

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                       const unsigned char *in, unsigned in_length, void *arg)
{
    (void)ssl;
    const struct tls_policy_config *config = arg;
    int result = SSL_select_next_proto((unsigned char **)out, out_length, config->alpn,
                                       (unsigned)config->alpn_length, in, in_length);
    /* RFC 7301, section 3.2: no protocol in common is fatal. */
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *make_context(const struct tls_policy *policy, const struct policy_maker *maker,
                             enum session_use use)
{
    const struct tls_policy_config *config = policy->config;
    SSL_CTX *context =
        SSL_CTX_new_ex(maker->source.library, maker->source.properties, TLS_server_method());
    if (context == NULL)
        return NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION
    /* A compressed message would be seen only by libssl (client_bio.c bounds the others). */
    SSL_CTX_set_options(context, SSL_OP_NO_RX_CERTIFICATE_COMPRESSION);
#endif
    SSL_CTX_set_max_cert_list(context, ANNOUNCED_MAX);
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY); /* one record a call: see client_bio.h */
    if (!tls_settings_apply(&policy->settings, context) ||
        !sessions_use(maker->sessions, context, config->tickets, use) ||
        !client_check_use(&policy->clients, context)) {
        SSL_CTX_free(context);
        return NULL;
    }
    if (config->alpn != NULL)
        SSL_CTX_set_alpn_select_cb(context, select_alpn, (void *)config);
    maker->prepare(context);
    return context;
}

/* All that makes a difference, as text that is the same for equal policies. NULL: out of memory. */
static char *describe(const struct tls_settings_source *source)
{
    const struct tls_policy_config *config = &source->config->policy;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    fprintf(out, "%d %d %d %d %u\n%s\n%s\n%s\n%s\n", source->rsa, source->ecdsa, config->tls_min,
            config->tls_max, config->tickets, config->ciphers, config->ciphersuites,
            config->groups != NULL ? config->groups : "",
            config->signature_algorithms != NULL ? config->signature_algorithms : "");
    fprintf(out, "%d %u %d %zu\n", config->client.wanted, config->client.depth,
            config->client.tells_names, config->client.authority);
    for (size_t i = 0; i < config->alpn_length; i++)
        fprintf(out, "%02x", config->alpn[i]);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static struct tls_policy *make_policy(const struct policy_maker *maker, struct conf_error *error)
{
    struct tls_policy *policy = calloc(1, sizeof *policy);
    if (policy == NULL)
        return NULL;
    policy->config = &maker->source.config->policy;
    policy->clients = maker->clients;
    if (tls_settings_make(&policy->settings, &maker->source, error)) {
        policy->context = make_context(policy, maker, SESSIONS_SERVED);
        if (maker->source.tells)
            policy->trial = make_context(policy, maker, SESSIONS_SERVED);
    }
    return policy;
}

const struct tls_policy *policy_for(struct tls_policies *policies, const struct policy_maker *maker,
                                    struct conf_error *error)
{
    size_t known = policies->known.count, index;
    struct tls_policy **of = reallocarray(policies->of, known + 1, sizeof *of);
    if (of == NULL)
        return NULL;
    policies->of = of;
    char *text = describe(&maker->source);
    bool good = text != NULL && name_table_add(&policies->known, text, &index);
    free(text);
    if (!good)
        return NULL;
    if (policies->known.count > known)
        of[index] = make_policy(maker, error);
    const struct tls_policy *policy = policies->of[index];
    bool whole = policy != NULL && policy->context != NULL &&
                 (policy->trial != NULL || !maker->source.tells);
    return whole ? policy : NULL;
}

void policies_free(struct tls_policies *policies)
{
    for (size_t i = 0; i < policies->known.count; i++) {
        struct tls_policy *policy = policies->of[i];
        if (policy == NULL)
            continue;
        SSL_CTX_free(policy->context);
        SSL_CTX_free(policy->trial);
        tls_settings_free(&policy->settings);
        free(policy);
    }
    free(policies->of);
    name_table_free(&policies->known);
}

SSL_CTX *policy_entry(const struct tls_policy *policy, const struct policy_maker *maker)
{
    return make_context(policy, maker, SESSIONS_ENTERED);
}

/* SSL_set_SSL_CTX() carries over what lies with the certificates (security level, signature
 * algorithms, callbacks), and libssl asks the context for ciphers and for ALPN. The rest was copied
 * when the SSL was made. */
bool policy_use(const struct tls_policy *policy, SSL *ssl)
{
    const struct tls_settings *settings = &policy->settings;
    if (policy->config->tickets == 0)
        SSL_set_options(ssl, SSL_OP_NO_TICKET);
    else
        SSL_clear_options(ssl, SSL_OP_NO_TICKET);
    client_check_take_over(&policy->clients, ssl);
    return SSL_set_min_proto_version(ssl, settings->min) == 1 &&
           SSL_set_max_proto_version(ssl, settings->max) == 1 &&
           SSL_set1_groups_list(ssl, settings->groups) == 1 &&
           SSL_set_num_tickets(ssl, policy->config->tickets) == 1;
}
