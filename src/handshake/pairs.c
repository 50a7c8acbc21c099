#include "handshake/pairs.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SECURITY_BITS 128

/* The stock has pages of its own, which are zero in a forked child, so the stock is empty there. */
struct stock {
    size_t left;
    uint8_t private[LANES][X25519_SIZE], public[LANES][X25519_SIZE];
};

struct pairs {
    OSSL_LIB_CTX *context;
    const struct lanes *lanes;
    struct stock *stock;
};

struct pairs *pairs_new(OSSL_LIB_CTX *context, const struct lanes *lanes, char *reason, size_t size)
{
    struct pairs *pairs = calloc(1, sizeof *pairs);
    void *pages = mmap(NULL, sizeof(struct stock), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pairs == NULL || pages == MAP_FAILED ||
        madvise(pages, sizeof(struct stock), MADV_WIPEONFORK) != 0 ||
        madvise(pages, sizeof(struct stock), MADV_DONTDUMP) != 0) {
        snprintf(reason, size, "no memory for key pairs: %s", strerror(errno));
        if (pages != MAP_FAILED)
            munmap(pages, sizeof(struct stock));
        free(pairs);
        return NULL;
    }
    *pairs = (struct pairs){.context = context, .lanes = lanes, .stock = pages};
    return pairs;
}

void pairs_free(struct pairs *pairs)
{
    if (pairs == NULL)
        return;
    OPENSSL_cleanse(pairs->stock, sizeof *pairs->stock);
    munmap(pairs->stock, sizeof *pairs->stock);
    free(pairs);
}

static bool refill(struct pairs *pairs)
{
    struct stock *stock = pairs->stock;
    if (RAND_priv_bytes_ex(pairs->context, (uint8_t *)stock->private, sizeof stock->private,
                           SECURITY_BITS) != 1 ||
        lanes_make_public(pairs->lanes, LANES, stock->private, stock->public) != (1U << LANES) - 1)
        return false;
    stock->left = LANES;
    return true;
}

bool pairs_take(struct pairs *pairs, struct key_pair *pair)
{
    struct stock *stock = pairs->stock;
    if (stock->left == 0 && !refill(pairs))
        return false;
    size_t at = --stock->left;
    memcpy(pair->private, stock->private[at], X25519_SIZE);
    memcpy(pair->public, stock->public[at], X25519_SIZE);
    OPENSSL_cleanse(stock->private[at], X25519_SIZE);
    return true;
}
