/*
 * An edition: a configuration as it was read at one moment, with all that belongs to it. What
 * happens to its files later changes nothing in it.
 */
#ifndef KEYD_PROCESS_SUPERVISE_EDITION_H
#define KEYD_PROCESS_SUPERVISE_EDITION_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/log.h"
#include "base/name_table.h"
#include "conf/error.h"
#include "daemon/vault.h"
#include "keyd/process/config.h"

struct edition {
    int text;                /* where it is open, for nobody to change; -1: there is none */
    struct name_table names; /* of the files that it names */
    struct vault vault;      /* those files, when a key process has read them */
    mode_t mode;             /* of the listening socket */
    enum log_level log_level;
    bool log_json;
};

#define EDITION_INIT ((struct edition){.text = -1, .vault = VAULT_INIT})

/* Of the configuration that was read from `file`, and its text; into an empty one. False with
 * *error filled: it is still empty. */
bool edition_make(struct edition *edition, const char *file, const struct config *config,
                  const char *text, struct conf_error *error);
/* Harmless on an empty one. */
void edition_drop(struct edition *edition);

#endif
