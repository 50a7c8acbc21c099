/* What a test can make the stand-in for crypto_mb do, in one lane. */
#ifndef CRYPTO_MB_STAND_IN_H
#define CRYPTO_MB_STAND_IN_H

#include <stdatomic.h>
#include <stdbool.h>

enum stand_in_fault {
    STAND_IN_GOOD,
    STAND_IN_NO_LANES,   /* it says that the processor cannot do it */
    STAND_IN_STATUS,     /* it says that it failed, and writes nothing */
    STAND_IN_WRONG,      /* one bit is flipped */
    STAND_IN_WRONG_HALF, /* RSA: what it computed modulo p, or in a lane of halves, is off by one */
    STAND_IN_SHORT,      /* the first byte is missing, and the last is not written */
    STAND_IN_NOTHING,    /* it says that all is well, and writes nothing */
    STAND_IN_STALE,      /* it gives what the lane gave in the call before */
    STAND_IN_NEIGHBOUR,  /* it gives what the next lane gives */
    STAND_IN_MESSAGE,    /* a bit of what it signs is flipped before */
    STAND_IN_KEY,        /* a bit of the private key is flipped before */
    STAND_IN_BASE_POINT, /* ECDSA: k G is a wrong point, and the rest is computed rightly with it */
    STAND_IN_FAULTS
};

extern struct stand_in {
    enum stand_in_fault fault;
    unsigned lane;
    unsigned after; /* so many signing calls are good */
    atomic_uint calls;
} stand_in;

#endif
