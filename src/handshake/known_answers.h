#ifndef HANDSHAKE_KNOWN_ANSWERS_H
#define HANDSHAKE_KNOWN_ANSWERS_H

#include "handshake/lanes.h"

/* Checks the test vectors of RFC 7748 and edge cases in every lane. */
bool lanes_known_answers(const struct lanes *lanes);

#endif
