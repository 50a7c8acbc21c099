/* Whether a private key belongs to a certificate. An immured that is started for the question says
 * so; this program has no byte of the key in its memory. */
#ifndef OPERATOR_KEY_OWNER_H
#define OPERATOR_KEY_OWNER_H

#include "operator/chain_file.h"

/* False: one line in `reason`, "PATH: why". */
bool key_belongs(const char *key_file, const struct chain_file *chain, char *reason, size_t size);

#endif
