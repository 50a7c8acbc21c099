/* The configuration of our own immured, from that of immure-proxy. */
#ifndef PROXY_MASTER_KEYD_TEXT_H
#define PROXY_MASTER_KEYD_TEXT_H

#include "base/file_table.h"
#include "proxy/config/config.h"

/* To be freed; NULL on lack of memory. Each key file appears once, whoever uses it. */
char *keyd_text(const struct config *config);
/* Opens all files that it names, into an empty table. False: out of memory. */
bool keyd_files(const struct config *config, struct file_table *files);

#endif
