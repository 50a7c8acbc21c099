/* The configuration of our own immured, from that of immure-proxy. */
#ifndef PROXY_MASTER_KEYD_TEXT_H
#define PROXY_MASTER_KEYD_TEXT_H

#include "base/name_table.h"
#include "proxy/config/config.h"

/* To be freed; NULL on lack of memory. Each key file appears once, whoever uses it. */
char *keyd_text(const struct config *config);
/* Adds all files that it names. False: out of memory. */
bool keyd_files(const struct config *config, struct name_table *names);

#endif
