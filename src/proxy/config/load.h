/* Reads immure-proxy.conf. */
#ifndef PROXY_CONFIG_LOAD_H
#define PROXY_CONFIG_LOAD_H

#include <stdio.h>

#include "conf/error.h"
#include "proxy/config/config.h"

/*
 * Reads the file, and checks that the files that it names can be read, so that a missing one is
 * reported early. Does not wait for name servers: the resolver looks up the host names of backends.
 * Relative paths are relative to the folder of the configuration file. NULL with *error filled. Not
 * thread-safe, because libconfuse is not.
 */
struct proxy_config *config_load(const char *file, struct conf_error *error);
void config_free(struct proxy_config *config);
/* Whether the files of CAs and of revoked certificates hold what they held when the configuration
 * was read. */
bool authorities_hold(const struct proxy_config *config);

/* Prints docs/immure-proxy.conf.md: the table of directives in Markdown. */
void config_print_directives(FILE *out);

#endif
