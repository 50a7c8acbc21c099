/* A private key bound to an engine, without making the engine the default for other keys. */
#ifndef QAT_ENGINE_KEY_H
#define QAT_ENGINE_KEY_H

#include <openssl/engine.h>
#include <openssl/evp.h>

/* A copy of an RSA or EC key that is bound to the engine; NULL: libcrypto has the reason. */
EVP_PKEY *engine_key(ENGINE *engine, const EVP_PKEY *key);

#endif
