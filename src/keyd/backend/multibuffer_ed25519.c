/*
 * Ed25519 (RFC 8032) in eight lanes. It is deterministic, and so two signatures of one message of
 * which one is faulty give the key away. Each is made twice, the second time in another lane, and
 * released only if both are the same.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "keyd/backend/multibuffer_lanes.h"

bool ed25519_prepare(struct lanes_key *lanes, const struct key *key)
{
    size_t private_length = ED25519_BYTES, public_length = ED25519_BYTES;
    return key->signature_max == 2 * ED25519_BYTES &&
           EVP_PKEY_get_raw_private_key(key->pair, lanes->ed25519.private, &private_length) == 1 &&
           EVP_PKEY_get_raw_public_key(key->pair, lanes->ed25519.public, &public_length) == 1 &&
           private_length == ED25519_BYTES && public_length == ED25519_BYTES;
}

/* Job i is signed in lane i + `shift`. */
static multibuffer_status compute(const struct lanes_thread *thread, struct job *const *batch,
                                  size_t count, size_t shift, uint8_t r[LANES][ED25519_BYTES],
                                  uint8_t s[LANES][ED25519_BYTES])
{
    const uint8_t *message[LANES], *private[LANES], *public[LANES];
    uint8_t *r_out[LANES], *s_out[LANES];
    uint32_t length[LANES];
    for (size_t i = 0; i < LANES; i++) {
        const struct job *job = batch[i < count ? i : 0];
        const struct lanes_key *lanes = job->key->prepared;
        size_t lane = (i + shift) % LANES;
        message[lane] = job->message;
        length[lane] = (uint32_t)job->message_length;
        private[lane] = lanes->ed25519.private;
        public[lane] = lanes->ed25519.public;
        r_out[lane] = r[i];
        s_out[lane] = s[i];
    }
    return thread->library->ed25519_sign(r_out, s_out, message, length, private, public);
}

void ed25519_sign(struct lanes_thread *thread, struct job *const *batch, size_t count)
{
    union lanes_work *work = thread->work;
    multibuffer_status first = compute(thread, batch, count, 0, work->ed25519.r, work->ed25519.s);
    multibuffer_status second =
        compute(thread, batch, count, 1, work->ed25519.again_r, work->ed25519.again_s);
    for (size_t i = 0; i < count; i++) {
        struct job *job = batch[i];
        if (multibuffer_lane_good(first, i) && multibuffer_lane_good(second, (i + 1) % LANES) &&
            memcmp(work->ed25519.r[i], work->ed25519.again_r[i], ED25519_BYTES) == 0 &&
            memcmp(work->ed25519.s[i], work->ed25519.again_s[i], ED25519_BYTES) == 0) {
            memcpy(job->signature, work->ed25519.r[i], ED25519_BYTES);
            memcpy(job->signature + ED25519_BYTES, work->ed25519.s[i], ED25519_BYTES);
            job->signature_length = 2 * ED25519_BYTES;
        } else {
            job->error = IMMURE_E_SIGNING;
        }
    }
    OPENSSL_cleanse(&work->ed25519, sizeof work->ed25519);
}
