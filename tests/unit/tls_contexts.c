#include "tls_contexts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

SSL_CTX *make_server(size_t key, uint32_t mode)
{
    SSL_CTX *server = SSL_CTX_new_ex(context, IMMURE_OPENSSL_PROPERTIES, TLS_server_method());
    assert_non_null(server);
    SSL_CTX_set_mode(server, mode);
    X509 *certificate = certificate_in_context(key);
    EVP_PKEY *private = key_in_context(key);
    assert_int_equal(SSL_CTX_use_certificate(server, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server, private), 1);
    assert_int_equal(SSL_CTX_check_private_key(server), 1);
    X509_free(certificate);
    EVP_PKEY_free(private);
    return server;
}

SSL_CTX *make_client(size_t key, int version, const char *algorithms)
{
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    assert_non_null(client);
    assert_int_equal(SSL_CTX_set_min_proto_version(client, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(client, version), 1);
    if (algorithms != NULL)
        assert_int_equal(SSL_CTX_set1_sigalgs_list(client, algorithms), 1);
    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(client), certificates[key]), 1);
    SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
    return client;
}
