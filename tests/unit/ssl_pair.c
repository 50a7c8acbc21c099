#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ssl_pair.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#define FLIGHTS_MAX 20

void ssl_pair_open(struct ssl_pair *pair, SSL_CTX *server, SSL_CTX *client)
{
    BIO *server_end, *client_end;
    assert_int_equal(BIO_new_bio_pair(&server_end, 0, &client_end, 0), 1);
    pair->server = SSL_new(server);
    pair->client = SSL_new(client);
    SSL_set_bio(pair->server, server_end, server_end);
    SSL_set_bio(pair->client, client_end, client_end);
    SSL_set_accept_state(pair->server);
    SSL_set_connect_state(pair->client);
}

static enum progress step_client(const struct ssl_pair *pair, bool *done)
{
    ERR_clear_error();
    int result = SSL_do_handshake(pair->client);
    *done = result == 1;
    return result == 1 || SSL_get_error(pair->client, result) == SSL_ERROR_WANT_READ
               ? PROGRESS_DONE
               : PROGRESS_FAILED;
}

enum progress ssl_pair_run(struct pair *base)
{
    struct ssl_pair *pair = (struct ssl_pair *)base;
    for (int i = 0; i < FLIGHTS_MAX; i++) {
        bool client_done, server_done;
        if (step_client(pair, &client_done) == PROGRESS_FAILED)
            return PROGRESS_FAILED;
        enum progress server = ssl_pair_step_server(pair, &server_done);
        if (server != PROGRESS_DONE)
            return server;
        if (client_done && server_done)
            return PROGRESS_DONE;
    }
    return PROGRESS_FAILED;
}

void ssl_pair_close(struct ssl_pair *pair)
{
    SSL_free(pair->server);
    SSL_free(pair->client);
}

X509 *ssl_pair_certificate(EVP_PKEY *key, const EVP_MD *digest)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, digest) > 0);
    return certificate;
}
