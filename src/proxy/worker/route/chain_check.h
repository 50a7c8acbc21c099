/* The problems of a certificate that do not keep its configuration from being used. */
#ifndef PROXY_WORKER_ROUTE_CHAIN_CHECK_H
#define PROXY_WORKER_ROUTE_CHAIN_CHECK_H

#include <openssl/x509.h>

#include "proxy/store/problem.h"

/* Returns one bit for each present problem, except CHAIN_NO_KEY. `chain`: what follows the leaf. */
unsigned chain_check(X509 *leaf, STACK_OF(X509) * chain);

#endif
