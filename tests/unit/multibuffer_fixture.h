/* For the tests of the driver `multibuffer`: keys of each algorithm, batches, and what libcrypto
 * says about the signatures. */
#ifndef MULTIBUFFER_FIXTURE_H
#define MULTIBUFFER_FIXTURE_H

#include "keyd/sign/driver.h"
#include "keyd/sign/signer.h"

#define LANES_WIDTH 8
#define KEYS_EACH 2 /* of each algorithm */

enum algorithm { RSA_2048, RSA_3072, RSA_4096, P256, P384, ED25519, ALGORITHMS };

struct fixture {
    struct key keys[ALGORITHMS][KEYS_EACH];
    struct driver multibuffer; /* an instance */
    const struct driver *drivers[3];
    struct signer signer; /* while a library is open */
    bool opened;
    char reason[256]; /* why the library could not be opened */
};

struct batch {
    struct job *jobs[LANES_WIDTH];
    size_t count;
};

void fixture_make(struct fixture *fixture);
void fixture_free(struct fixture *fixture);

/* `library` NULL: the default. Keys that the driver serves are prepared. */
bool fixture_open(struct fixture *fixture, const char *library);
void fixture_close(struct fixture *fixture);

/* For special keys, such as RSA keys whose primes are in the other order. Takes ownership of the
 * pair. */
struct key fixture_key(EVP_PKEY *pair, enum wire_key_type type, size_t index);
bool fixture_serves(const struct fixture *fixture, enum algorithm algorithm);

/* Uses its keys and schemes in turn, with a different message for each job. */
void batch_make(struct batch *batch, struct fixture *fixture, enum algorithm algorithm,
                size_t count);
void batch_add(struct batch *batch, const struct key *key, const struct wire_scheme *scheme,
               const void *message, size_t length);
void batch_free(struct batch *batch);

bool signature_good(const struct job *job);

#endif
