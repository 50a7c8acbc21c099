/* A certificate that the configuration asks for: its files, and what is said about it. */
#ifndef PROXY_STORE_WANTED_H
#define PROXY_STORE_WANTED_H

#include <stdbool.h>
#include <stdint.h>

struct wanted {
    const char *chain;            /* path of the PEM file: the certificate first */
    const char *key;              /* path of the private key; it may be the same file */
    const char *staple;           /* path of the OCSP response; NULL: none */
    bool staple_is_beside;        /* it was found there; nobody has named it */
    const char *pass_phrase_file; /* NULL: the key is not encrypted */
    const char *policy, *tls12_groups;
    uint32_t frontend, route;
    const char *where; /* the configuration or the list, and its line */
    uint32_t line;
    bool required;            /* whatever is wrong with it is an error, its public key included */
    const char *const *names; /* in place of those that it says itself; NULL: those */
    uint32_t name_count;
};

#endif
