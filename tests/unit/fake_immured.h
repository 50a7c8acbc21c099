/* A fake immured: a thread that serves every connection, with keys that the test holds. */
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
    atomic_bool silent;        /* requests are read but not answered */
    atomic_int refuses;        /* the enum immure_error sent in reply to every request; 0: none */
    atomic_size_t connections; /* so far */
    atomic_size_t requests;
};

void fake_immured_begin(struct fake_immured *immured, const struct fake_key *keys, size_t count);
/* Ends the thread and removes the socket. */
void fake_immured_end(struct fake_immured *immured);

#endif
