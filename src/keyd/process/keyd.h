/* immured: the key process. The only one that ever holds a private key. */
#ifndef KEYD_PROCESS_KEYD_H
#define KEYD_PROCESS_KEYD_H

#include "keyd/sign/driver.h"

/* Runs the program. `prototypes` (ended by NULL) are the drivers that may be configured; the first
 * is libcrypto's. */
int keyd_main(int argc, char **argv, const struct driver *const *prototypes);

#endif
