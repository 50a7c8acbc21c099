/* How many client connections the limit of file descriptors (RLIMIT_NOFILE) allows. */
#ifndef PROXY_CONFIG_DESCRIPTORS_H
#define PROXY_CONFIG_DESCRIPTORS_H

#include <stdint.h>

/* At least 1. */
uint64_t descriptors_connections(unsigned workers);

#endif
