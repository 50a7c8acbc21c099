/*
 * immured with a signing driver that repeats the last signature if the message is the same. So its
 * requests cost everything but the signature, and yet each signature is valid. For EC keys, whose
 * signatures immured does not verify again.
 */
#include <stdlib.h>
#include <string.h>

#include "keyd/process/keyd.h"

#define SIGNATURE_MAX 160 /* ECDSA with P-521, DER */

struct replay_thread {
    void *openssl; /* the thread state of the real driver */
    const struct key *key;
    uint8_t digest[JOB_DIGEST_MAX];
    size_t digest_length;
    uint8_t signature[SIGNATURE_MAX];
    size_t signature_length; /* 0: none yet */
};

static void *replay_thread_new(const struct driver *driver)
{
    struct replay_thread *thread = calloc(1, sizeof *thread);
    if (thread && (thread->openssl = driver_openssl.thread_new(driver)) == NULL) {
        free(thread);
        return NULL;
    }
    return thread;
}

static void replay_thread_free(void *arg)
{
    struct replay_thread *thread = arg;
    if (thread)
        driver_openssl.thread_free(thread->openssl);
    free(thread);
}

static bool kept(const struct replay_thread *thread, const struct job *job)
{
    return thread->signature_length > 0 && thread->key == job->key &&
           thread->digest_length == job->digest_length &&
           memcmp(thread->digest, job->digest, job->digest_length) == 0;
}

static void keep(struct replay_thread *thread, const struct job *job)
{
    if (job->error != IMMURE_OK || job->result_length > SIGNATURE_MAX)
        return;
    thread->key = job->key;
    memcpy(thread->digest, job->digest, job->digest_length);
    thread->digest_length = job->digest_length;
    memcpy(thread->signature, job->result, job->result_length);
    thread->signature_length = job->result_length;
}

static void replay_sign(const struct driver *driver, void *arg, struct job *const *batch,
                        size_t count)
{
    struct replay_thread *thread = arg;
    for (size_t i = 0; i < count; i++) {
        if (kept(thread, batch[i])) {
            memcpy(batch[i]->result, thread->signature, thread->signature_length);
            batch[i]->result_length = thread->signature_length;
        } else {
            driver_openssl.sign(driver, thread->openssl, &batch[i], 1);
            keep(thread, batch[i]);
        }
    }
}

int main(int argc, char **argv)
{
    struct driver replay = driver_openssl;
    replay.name = "replay";
    replay.figure = 0; /* libcrypto tells it */
    replay.thread_new = replay_thread_new;
    replay.thread_free = replay_thread_free;
    replay.sign = replay_sign;
    const struct driver *const drivers[] = {&driver_openssl, &replay, NULL};
    return keyd_main(argc, argv, drivers);
}
