/* immured: the key process. The only one that ever holds a private key. */
#ifndef KEYD_PROCESS_KEYD_H
#define KEYD_PROCESS_KEYD_H

#include "keyd/sign/backend.h"

/* The program, with the signing backends (ended by NULL) that may be configured. */
int keyd_main(int argc, char **argv, const struct backend *const *backends);

#endif
