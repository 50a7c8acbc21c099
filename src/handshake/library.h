/* Finds the X25519 of crypto_mb at run time, and tests it. */
#ifndef HANDSHAKE_LIBRARY_H
#define HANDSHAKE_LIBRARY_H

#include "handshake/lanes.h"

/* False with one line in `reason`. */
bool lanes_open(struct lanes *lanes, char *reason, size_t size);

#endif
