#include "handshake/lanes.h"

#include <dlfcn.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define ALGORITHM_X25519 4 /* of enum MBX_ALGO */
#define WIDTH_EIGHT 8      /* of enum MBX_WIDTH */
/* Below the caller's frame: what the vectors of a batch were spilled to. */
#define STACK_TOUCHED 8192

/*
 * crypto_mb 11.15 and 13.3 lose a carry where whole limbs are ones or zeros, and so compute wrong
 * secrets for some public keys with long runs of equal bits. So many equal bytes in a row are in
 * one random key of three hundred thousand; every key found to differ has them
 * (test_handshake_x25519).
 */
#define RUN_BYTES 3

bool lanes_open(struct lanes *lanes, char *reason, size_t size)
{
    static const char *const sonames[] = {"libcrypto_mb.so.13", "libcrypto_mb.so.12",
                                          "libcrypto_mb.so.11"};
    void *library = NULL;
    const char *soname = NULL;
    for (size_t i = 0; library == NULL && i < sizeof sonames / sizeof *sonames; i++) {
        soname = sonames[i];
        library = dlopen(soname, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    }
    if (library == NULL) {
        snprintf(reason, size, "there is no libcrypto_mb.so.11 to .so.13 here");
        return false;
    }
    uint64_t (*algorithm_info)(int algorithm);
    *(void **)(void *)&algorithm_info = dlsym(library, "mbx_get_algo_info");
    *(void **)(void *)&lanes->public_key = dlsym(library, "mbx_x25519_public_key_mb8");
    *(void **)(void *)&lanes->shared_secret = dlsym(library, "mbx_x25519_mb8");
    bool complete =
        algorithm_info != NULL && lanes->public_key != NULL && lanes->shared_secret != NULL;
    if (!complete)
        snprintf(reason, size, "%s has no X25519", soname);
    else if ((algorithm_info(ALGORITHM_X25519) & WIDTH_EIGHT) == 0)
        snprintf(reason, size, "%s has no X25519 for this processor", soname);
    else if (!lanes_known_answers(lanes))
        snprintf(reason, size, "X25519 of %s is wrong", soname);
    else
        lanes->soname = soname;
    dlclose(library); /* RTLD_NODELETE: it is counted, not unloaded */
    return lanes->soname != NULL;
}

/* The top bit is no part of the key: RFC 7748, section 5. */
static uint8_t byte_of_key(const uint8_t public[X25519_SIZE], size_t i)
{
    bool top = i == X25519_SIZE - 1;
    return top && (public[i] & 0x7f) == 0x7f ? 0xff : top ? public[i] & 0x7f : public[i];
}

bool lanes_serve_key(const uint8_t public[X25519_SIZE])
{
    int run = 0;
    uint8_t before = 0;
    for (size_t i = 0; i < X25519_SIZE && run < RUN_BYTES; i++) {
        uint8_t byte = byte_of_key(public, i);
        if (byte != 0 && byte != 0xff)
            run = 0;
        else
            run = run > 0 && byte == before ? run + 1 : 1;
        before = byte;
    }
    return run < RUN_BYTES;
}

static __attribute__((noinline)) void cleanse_stack(void)
{
    uint8_t below[STACK_TOUCHED];
    OPENSSL_cleanse(below, sizeof below);
}

/* RFC 7748, section 6.1: the check for a secret of zeros must not tell how it differs. */
static bool is_zero(const uint8_t secret[X25519_SIZE])
{
    volatile uint8_t any = 0;
    for (size_t i = 0; i < X25519_SIZE; i++)
        any |= secret[i];
    return any == 0;
}

static unsigned good_lanes(uint32_t status, size_t count)
{
    unsigned good = 0;
    for (size_t i = 0; i < count; i++)
        if ((status >> 4 * i & 0xf) == 0)
            good |= 1U << i;
    return good;
}

/* Lanes without work get the first's, and a place of their own for what comes out: an empty lane
 * slows the others down. */
unsigned lanes_make_public(const struct lanes *lanes, size_t count,
                           const uint8_t private[][X25519_SIZE], uint8_t public[][X25519_SIZE])
{
    uint8_t unused[X25519_SIZE];
    const uint8_t *in[LANES];
    uint8_t *out[LANES];
    for (size_t i = 0; i < LANES; i++) {
        in[i] = private[i < count ? i : 0];
        out[i] = i < count ? public[i] : unused;
    }
    uint32_t status = lanes->public_key(out, in);
    cleanse_stack();
    return good_lanes(status, count);
}

unsigned lanes_derive(const struct lanes *lanes, const struct lanes_job *jobs, size_t count)
{
    uint8_t unused[X25519_SIZE];
    const uint8_t *private[LANES], *public[LANES];
    uint8_t *secret[LANES];
    for (size_t i = 0; i < LANES; i++) {
        private[i] = jobs[i < count ? i : 0].private;
        public[i] = jobs[i < count ? i : 0].public;
        secret[i] = i < count ? jobs[i].secret : unused;
    }
    unsigned good = good_lanes(lanes->shared_secret(secret, private, public), count);
    for (size_t i = 0; i < count; i++)
        if (is_zero(jobs[i].secret))
            good &= ~(1U << i);
    OPENSSL_cleanse(unused, sizeof unused);
    cleanse_stack();
    return good;
}
