/* Both ends of a handshake in memory, with the SSL type of OpenSSL or BoringSSL; compiled with
 * each. */
#ifndef TESTS_SSL_PAIR_H
#define TESTS_SSL_PAIR_H

#include <openssl/ssl.h>

#include "adapter_scenarios.h"

struct ssl_pair {
    struct pair pair; /* first */
    SSL *server, *client;
};

void ssl_pair_open(struct ssl_pair *pair, SSL_CTX *server, SSL_CTX *client);
/* Implemented by the test: one SSL_do_handshake() on the server. */
enum progress ssl_pair_step_server(struct ssl_pair *pair, bool *done);
enum progress ssl_pair_run(struct pair *pair);
void ssl_pair_close(struct ssl_pair *pair); /* not the memory */

X509 *ssl_pair_certificate(EVP_PKEY *key, const EVP_MD *digest);

#endif
