/* The cost of a handshake's key exchange. */
#ifndef PROXY_WORKER_ROUTE_GROUP_COST_H
#define PROXY_WORKER_ROUTE_GROUP_COST_H

#include <openssl/types.h>
#include <stdint.h>

/* Measures the CPU time of the server's part, in ns. `group` is OpenSSL's name of the group
 * ("X25519", "P-521", "ffdhe8192"). 0: it cannot be measured. */
uint64_t group_cost(OSSL_LIB_CTX *library, const char *group);

#endif
