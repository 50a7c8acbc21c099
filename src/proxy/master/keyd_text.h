/* Writes the configuration of our own immured from the configuration of immure-proxy. */
#ifndef PROXY_MASTER_KEYD_TEXT_H
#define PROXY_MASTER_KEYD_TEXT_H

#include "base/name_table.h"
#include "proxy/config/config.h"
#include "proxy/master/keyd_keys.h"

/* The caller frees the text; NULL: out of memory. Each key file of a `certificate` section appears
 * once, even if several certificates use it. `keys` are those of directories and lists; NULL: none.
 */
char *keyd_text(const struct proxy_config *config, const struct keyd_keys *keys);
/* Adds the names of all files in it. False: out of memory. */
bool keyd_files(const struct proxy_config *config, struct name_table *names);

#endif
