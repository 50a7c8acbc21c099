/* What a handshake pays for its key exchange. */
#ifndef PROXY_WORKER_ROUTE_GROUP_COST_H
#define PROXY_WORKER_ROUTE_GROUP_COST_H

#include <openssl/types.h>
#include <stdint.h>

/* Measures: CPU time of the server's part with a group by OpenSSL's name of it ("X25519", "P-521",
 * "ffdhe8192"), ns. 0: it cannot be measured. */
uint64_t group_cost(OSSL_LIB_CTX *library, const char *group);

#endif
