/*
 * Ed25519 (RFC 8032) in eight lanes. It is deterministic, so a faulty signature gives the key away
 * together with a good one of the same message, and so does one that was made with a wrong public
 * key. Each signature is verified in the lanes with the public key in the SubjectPublicKeyInfo,
 * which is not the copy that signs.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "keyd/driver/multibuffer/lanes.h"

bool ed25519_prepare(struct lanes_key *lanes, const struct key *key)
{
    size_t private_length = ED25519_BYTES, public_length = ED25519_BYTES;
    return key->signature_max == 2 * ED25519_BYTES && key->spki_length > ED25519_BYTES &&
           EVP_PKEY_get_raw_private_key(key->pair, lanes->ed25519.private, &private_length) == 1 &&
           EVP_PKEY_get_raw_public_key(key->pair, lanes->ed25519.public, &public_length) == 1 &&
           private_length == ED25519_BYTES && public_length == ED25519_BYTES;
}

static multibuffer_status compute(const struct lanes_thread *thread, struct job *const *batch,
                                  size_t count)
{
    union lanes_work *work = thread->work;
    const uint8_t *message[LANES], *private[LANES], *public[LANES];
    uint8_t *r[LANES], *s[LANES];
    uint32_t length[LANES];
    for (size_t lane = 0; lane < LANES; lane++) {
        const struct job *job = batch[lane < count ? lane : 0];
        const struct lanes_key *lanes = job->key->prepared;
        message[lane] = job->message;
        length[lane] = (uint32_t)job->message_length;
        private[lane] = lanes->ed25519.private;
        public[lane] = lanes->ed25519.public;
        r[lane] = work->ed25519.r[lane];
        s[lane] = work->ed25519.s[lane];
    }
    return thread->library->ed25519_sign(r, s, message, length, private, public);
}

multibuffer_status ed25519_verify(const struct multibuffer_library *library,
                                  struct job *const *batch, size_t count)
{
    const uint8_t *message[LANES], *public[LANES], *r[LANES], *s[LANES];
    uint32_t length[LANES];
    for (size_t lane = 0; lane < LANES; lane++) {
        const struct job *job = batch[lane < count ? lane : 0];
        message[lane] = job->message;
        length[lane] = (uint32_t)job->message_length;
        public[lane] = job->key->spki + job->key->spki_length - ED25519_BYTES;
        r[lane] = job->result;
        s[lane] = job->result + ED25519_BYTES;
    }
    return library->ed25519_verify(r, s, message, length, public);
}

void ed25519_sign(struct lanes_thread *thread, struct job *const *batch, size_t count)
{
    union lanes_work *work = thread->work;
    multibuffer_status status = compute(thread, batch, count);
    for (size_t lane = 0; lane < count; lane++) {
        struct job *job = batch[lane];
        memcpy(job->result, work->ed25519.r[lane], ED25519_BYTES);
        memcpy(job->result + ED25519_BYTES, work->ed25519.s[lane], ED25519_BYTES);
        job->result_length = 2 * ED25519_BYTES;
    }
    status |= ed25519_verify(thread->library, batch, count);
    for (size_t lane = 0; lane < count; lane++) {
        batch[lane]->verified = multibuffer_lane_good(status, lane);
        if (!batch[lane]->verified)
            batch[lane]->error = IMMURE_E_SIGNING;
    }
    OPENSSL_cleanse(&work->ed25519, sizeof work->ed25519);
}
