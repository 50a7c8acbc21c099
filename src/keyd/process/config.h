/*
 * The configuration of immured, from immured.conf, checked and complete. directives.c has the table
 * of directives; all other code sees only these structs.
 */
#ifndef KEYD_PROCESS_CONFIG_H
#define KEYD_PROCESS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/name_table.h"
#include "keyd/driver/multibuffer/config.h"
#include "keyd/driver/provider/config.h"
#include "keyd/front/server.h"
#include "keyd/front/tickets.h"
#include "keyd/keys/compact.h"
#include "keyd/rules/allow.h"
#include "keyd/rules/policy.h"
#include "keyd/rules/rate.h"
#include "keyd/sign/driver.h"

struct conf_error; /* conf/error.h */

struct keyd_config {
    uint64_t threads;
    bool yield; /* signer threads use only the time that others leave */
    bool require_secret_memory;
    char *listen; /* path; NULL: none */
    char *user;   /* NULL: the default */
    struct access_config allow;
    bool audit_all; /* audit signatures, too */
    char *driver;   /* "auto" or a name */
    struct multibuffer_config multibuffer;
    uint64_t queue_age, hold; /* ns */
    bool log_json;
    int log_level; /* enum log_level */
    struct server_config server;
    struct tickets_config tickets;
    struct key_config *keys;
    size_t key_count;
    struct compact_config compact;
    struct provider_config *providers;
    size_t provider_count;
};

/* `text` is the text of the file (conf/text.h); NULL: errno says why it could not be read. Strings
 * and arrays belong to *config. `drivers` (ended by NULL) are those that the file may name. False
 * with *error filled, and there is nothing to free. */
bool config_load(struct keyd_config *config, const char *file, const char *text,
                 const struct driver *const *drivers, struct conf_error *error);
/* Adds all files that the configuration names and that immured reads. False: out of memory. */
bool config_name_files(const struct keyd_config *config, struct name_table *names);
/* The settings of a driver that has no sections; NULL: it has none. */
const void *config_settings(const struct keyd_config *config, const char *driver);
void config_free(struct keyd_config *config);

/* The tables of directives as Markdown, for docs/immured.conf.md. */
void config_print_directives(FILE *out);

#endif
