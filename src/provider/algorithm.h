/* The AlgorithmIdentifier (X.509) of a signature: what certificate requests name it by. */
#ifndef PROVIDER_ALGORITHM_H
#define PROVIDER_ALGORITHM_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

/* Its DER, in the parameter. False: there is none, which is so for RSA-PSS. */
bool algorithm_set_param(OSSL_PARAM *param, uint16_t scheme);

#endif
