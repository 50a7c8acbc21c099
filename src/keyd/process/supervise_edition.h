/*
 * An edition: a configuration as it was read at one moment, with everything that belongs to it.
 * Later changes of its files do not change it.
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
    int text;                /* a sealed file with its text; -1: the edition is empty */
    struct name_table names; /* of the files that it names */
    struct vault vault;      /* filled with those files once a key process has read them */
    mode_t mode;             /* of the listening socket */
    enum log_level log_level;
    bool log_json;
};

#define EDITION_INIT ((struct edition){.text = -1, .vault = VAULT_INIT})

/* Makes an empty edition from the configuration that was read from `file`, and from its text. False
 * with *error filled; it is then still empty. */
bool edition_make(struct edition *edition, const char *file, const struct keyd_config *config,
                  const char *text, struct conf_error *error);
/* Harmless on an empty edition. */
void edition_drop(struct edition *edition);

#endif
