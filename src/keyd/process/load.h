/* Reads immured.conf. */
#ifndef KEYD_PROCESS_LOAD_H
#define KEYD_PROCESS_LOAD_H

#include <stdio.h>

#include "base/name_table.h"
#include "keyd/process/config.h"
#include "keyd/sign/driver.h"

struct conf_error; /* conf/error.h */

/* `text` is the text of the file (conf/text.h); NULL: errno says why it could not be read. Strings
 * and arrays belong to *config. `drivers` (ended by NULL) are those that the file may name. False
 * with *error filled, and there is nothing to free. */
bool config_load(struct keyd_config *config, const char *file, const char *text,
                 const struct driver *const *drivers, struct conf_error *error);
/* Adds all files that the configuration names and that immured reads. False: out of memory. */
bool config_name_files(const struct keyd_config *config, struct name_table *names);
/* The settings of a driver that has no sections; NULL: it has none. */
const void *config_settings(const struct keyd_config *config, const struct driver *driver);
void config_free(struct keyd_config *config);

/* The tables of directives as Markdown, for docs/immured.conf.md. */
void config_print_directives(FILE *out);

#endif
