#include "keyd/driver/multibuffer/lanes.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>

bool lanes_number_get(const struct key *key, const char *name, uint64_t *limbs, size_t bytes)
{
    BIGNUM *number = NULL;
    bool good = EVP_PKEY_get_bn_param(key->pair, name, &number) == 1 &&
                BN_bn2lebinpad(number, (uint8_t *)limbs, (int)bytes) == (int)bytes;
    BN_clear_free(number);
    return good;
}

static void lanes_key_release(struct key *key)
{
    struct lanes_key *lanes = key->prepared;
    if (lanes->algorithm->release != NULL)
        lanes->algorithm->release(lanes);
    struct secret memory = lanes->memory;
    secret_free(&memory);
}

bool lanes_key_prepare(const struct lanes_algorithm *algorithm, struct key *key)
{
    struct secret memory;
    if (!secret_new(&memory, sizeof(struct lanes_key)))
        return false;
    struct lanes_key *lanes = (struct lanes_key *)memory.bytes;
    lanes->algorithm = algorithm;
    lanes->memory = memory;
    key->prepared = lanes;
    key->release = lanes_key_release;
    if (algorithm->prepare(lanes, key))
        return true;
    ERR_clear_error();
    key_release(key);
    return false;
}
