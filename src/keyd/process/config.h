/*
 * The configuration of immured, from immured.conf, checked and complete. directives.c has the table
 * of directives; all other code sees only these structs.
 */
#ifndef KEYD_PROCESS_CONFIG_H
#define KEYD_PROCESS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keyd/driver/multibuffer/config.h"
#include "keyd/driver/provider/config.h"
#include "keyd/front/server.h"
#include "keyd/front/tickets.h"
#include "keyd/keys/compact.h"
#include "keyd/rules/allow.h"
#include "keyd/rules/policy.h"
#include "keyd/rules/rate.h"

struct keyd_config {
    uint64_t threads;
    bool yield; /* signer threads use only the time that others leave */
    bool require_secret_memory;
    char *listen; /* path; NULL: none */
    char *user;   /* NULL: the default */
    struct access_config allow;
    bool audit_all; /* the audit includes signatures */
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

#endif
