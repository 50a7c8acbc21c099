/*
 * Shared memory between a test and the stand-in: a file that both map, named by
 * QAT_STANDIN_CONTROL. Without the variable the stand-in has a device with the values of
 * control_defaults.
 *
 * All fields are 32 bits wide, in the order of the machine, so that Python's struct reads them as
 * "=13I".
 */
#ifndef QAT_CONTROL_H
#define QAT_CONTROL_H

#include <stdatomic.h>
#include <stdint.h>

#define CONTROL_VARIABLE "QAT_STANDIN_CONTROL"

enum fault {
    FAULT_NONE = 0,
    FAULT_RESULT = 1,  /* RSA: wrong modulo q, which would reveal the key; EC: one wrong bit */
    FAULT_LENGTH = 2,  /* the result ends one byte early, and says so */
    FAULT_FAILURE = 3, /* no result: CPA_STATUS_FAIL */
};

struct control {
    /* the test's */
    _Atomic uint32_t instances; /* that are found at start; 0: there is no device */
    _Atomic uint32_t delay;     /* microseconds from a request to its result */
    _Atomic uint32_t ring;  /* requests in flight in an instance; one more gets CPA_STATUS_RETRY */
    _Atomic uint32_t gone;  /* not 0: the device is gone, or not there yet */
    _Atomic uint32_t fault; /* enum fault, of the next `faults` results */
    _Atomic uint32_t faults;
    /* the stand-in's */
    _Atomic uint32_t submitted; /* requests taken */
    _Atomic uint32_t answered;  /* their callbacks made */
    _Atomic uint32_t full;      /* requests that got CPA_STATUS_RETRY */
    _Atomic uint32_t
        refused; /* requests that got CPA_STATUS_RESTARTING, from a device that has gone */
    _Atomic uint32_t faulted; /* results with a fault */
    _Atomic uint32_t in_flight;
    _Atomic uint32_t most_in_flight;
};

/* Never NULL; maps the file at the first call. A file that cannot be mapped ends the process, with
 * a line that says why: a test must not pass with another device than it set up. */
struct control *control_get(void);

#endif
