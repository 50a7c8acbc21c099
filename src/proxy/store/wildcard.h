/* The wildcard that stands for a name. */
#ifndef PROXY_STORE_WILDCARD_H
#define PROXY_STORE_WILDCARD_H

#include <stdbool.h>

#include "proxy/store/record.h"

/* "*.example.com" for "www.example.com": a wildcard stands for exactly one label (RFC 6125, section
 * 6.4.3). False: no wildcard can match the name. */
bool store_wildcard_for(const char *name, char wildcard[static STORE_NAME_MAX + 1]);

#endif
