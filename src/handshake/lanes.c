#include "handshake/lanes.h"

#include <openssl/crypto.h>
#include <string.h>

/* How far below the caller's frame a batch spills its vector registers. */
#define STACK_TOUCHED 8192

/*
 * crypto_mb 11.15 and 13.3 lose a carry where whole limbs are ones or zeros, and so compute wrong
 * secrets for some public keys with long runs of equal bits. Every key for which a wrong secret was
 * found has this many 00 or ff bytes in a row (test_handshake_x25519); one random key in three
 * hundred thousand has.
 */
#define RUN_BYTES 3

/* The top bit is not part of the key: RFC 7748, section 5. */
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

/* RFC 7748, section 6.1: the check for an all-zero secret must run in constant time. */
static bool is_zero(const uint8_t secret[X25519_SIZE])
{
    volatile uint8_t any = 0;
    for (size_t i = 0; i < X25519_SIZE; i++)
        any |= secret[i];
    return any == 0;
}

static unsigned good_lanes(multibuffer_status status, size_t count)
{
    unsigned good = 0;
    for (size_t i = 0; i < count; i++)
        if (multibuffer_lane_good(status, i))
            good |= 1U << i;
    return good;
}

/* Idle lanes repeat the first lane's work and write to a buffer that is discarded, because an empty
 * lane slows the others down. */
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
    multibuffer_status status = lanes->public_key(out, in);
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
