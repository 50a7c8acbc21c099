/* An immured that listens: a thread that answers every connection, with keys the test holds. */
#ifndef TESTS_FAKE_IMMURED_H
#define TESTS_FAKE_IMMURED_H

#include <pthread.h>
#include <stdatomic.h>

#include "fake_signer.h"

struct fake_immured {
    char path[64];
    int listener;
    pthread_t thread;
    const struct fake_key *keys; /* listed under their labels */
    size_t key_count;
    atomic_bool silent;        /* requests are taken and not answered */
    atomic_int refuses;        /* an enum immure_error that is the answer to all; 0: none */
    atomic_size_t connections; /* so far */
    atomic_size_t requests;
};

void fake_immured_begin(struct fake_immured *immured, const struct fake_key *keys, size_t count);
/* It is gone, and so is its socket. */
void fake_immured_end(struct fake_immured *immured);

#endif
