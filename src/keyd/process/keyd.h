/* immured: the key process, which is the only process that ever holds a private key. */
#ifndef KEYD_PROCESS_KEYD_H
#define KEYD_PROCESS_KEYD_H

#include "keyd/sign/driver.h"

/* Runs the program. `prototypes` (ended by NULL) are the drivers that a configuration may name; the
 * first one is libcrypto's. */
int keyd_main(int argc, char **argv, const struct driver *const *prototypes);

#endif
