/* A PEM file with a certificate and its chain, and perhaps with the private key, too. No byte of a
 * key is read: only immured ever has one in its memory. */
#ifndef OPERATOR_CHAIN_FILE_H
#define OPERATOR_CHAIN_FILE_H

#include "operator/public_key.h"

#define CHAIN_NAMES_MAX 100

struct chain_file {
    const char *path;
    char *text; /* without keys */
    size_t length;
    bool has_key;
    struct public_key key; /* of the first certificate */
    /* The DNS names of that certificate, as many as there is room for; without any, its common
     * name. */
    char names[CHAIN_NAMES_MAX][256];
    size_t name_count;
};

/* False: one line in `reason`, "PATH: what"; there is nothing to free. */
bool chain_file_read(struct chain_file *chain, const char *path, char *reason, size_t size);
void chain_file_free(struct chain_file *chain);

#endif
