/*
 * Shared memory between a test and the faulty engine: a file that both map, named by
 * IMMURE_FAULTY_ENGINE. All fields are 32 bits wide, in the order of the machine, so that Python's
 * struct reads them as "=8I".
 */
#ifndef FAULTY_ENGINE_H
#define FAULTY_ENGINE_H

#include <stdatomic.h>
#include <stdint.h>

enum fault {
    FAULT_NONE,
    FAULT_RESULT,  /* one bit is wrong */
    FAULT_LENGTH,  /* the result ends one byte early */
    FAULT_FAILURE, /* no result */
};

struct control {
    /* the test's */
    _Atomic uint32_t fault; /* enum fault, of the next `faults` results */
    _Atomic uint32_t faults;
    _Atomic uint32_t delay;      /* milliseconds from a request to its result */
    _Atomic uint32_t hangs;      /* not 0: there is no result until it is 0 again */
    _Atomic uint32_t descriptor; /* not 0: a paused job has a descriptor that says when to go on */
    /* the engine's */
    _Atomic uint32_t signatures; /* asked for */
    _Atomic uint32_t in_flight, most_in_flight;
};

#endif
