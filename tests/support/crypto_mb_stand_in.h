/* The faults that a test can inject into one lane of the stand-in for crypto_mb. */
#ifndef CRYPTO_MB_STAND_IN_H
#define CRYPTO_MB_STAND_IN_H

#include <stdatomic.h>
#include <stdbool.h>

enum stand_in_fault {
    STAND_IN_GOOD,
    STAND_IN_NO_LANES,   /* it reports that the processor is not supported */
    STAND_IN_STATUS,     /* it reports a failure, and writes nothing */
    STAND_IN_WRONG,      /* one bit is flipped */
    STAND_IN_WRONG_HALF, /* RSA: what it computed modulo p, or in a lane of halves, is off by one */
    STAND_IN_SHORT,      /* the first byte is missing, and the last is not written */
    STAND_IN_NOTHING,    /* it reports success, and writes nothing */
    STAND_IN_STALE,      /* it repeats the lane's previous output */
    STAND_IN_NEIGHBOUR,  /* it returns the next lane's output */
    STAND_IN_MESSAGE,    /* a bit of the message is flipped before signing */
    STAND_IN_KEY,        /* a bit of the private key is flipped before signing */
    STAND_IN_BASE_POINT, /* ECDSA: k G is a wrong point, and the rest is computed correctly from it
                          */
    STAND_IN_FAULTS
};

extern struct stand_in {
    enum stand_in_fault fault;
    unsigned lane;
    unsigned after; /* the number of good signing calls before the fault */
    atomic_uint calls;
} stand_in;

#endif
