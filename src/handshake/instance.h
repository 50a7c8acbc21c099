/* The state of one instance of the provider, and its dispatch tables. provider-base(7) says how
 * OpenSSL calls the functions in them. */
#ifndef HANDSHAKE_INSTANCE_H
#define HANDSHAKE_INSTANCE_H

#include <openssl/core_dispatch.h>
#include <openssl/types.h>

#include "base/list.h"
#include "handshake/hash.h"
#include "handshake/lanes.h"
#include "handshake/pairs.h"

#define REASON_TEXT_SIZE 128

struct derivation_waiter; /* fast_handshake.h */

struct fast_handshake {
    OSSL_LIB_CTX *context; /* the application's; its default provider does the plain operations */
    OSSL_PROVIDER *handle;
    unsigned parts;
    char reason[REASON_TEXT_SIZE]; /* why wanted parts are not in force; or empty */
    struct key_schedule_hash hashes[KEY_SCHEDULE_HASHES];
    struct lanes lanes;
    struct pairs *pairs; /* NULL: key pairs come from the default provider */
    struct list waiting; /* pending derivations */
    struct derivation_waiter *current;
};

/* The type that every function in a dispatch table is cast to. */
typedef void (*provider_function)(void);

extern const OSSL_DISPATCH key_schedule_functions[];
extern const OSSL_DISPATCH keymgmt_functions[];
extern const OSSL_DISPATCH exchange_functions[];

#endif
