/*
 * What the operator has set for servers at run time: the mode, and a weight. The master keeps it in
 * the configuration of each generation, as the health of servers (health.h): a worker and a checker
 * that are started again are forked with it, and those that run are told.
 */
#ifndef PROXY_MASTER_SETTINGS_H
#define PROXY_MASTER_SETTINGS_H

#include "proxy/master/core.h"

/* A server by its names, in whichever generation has it, and what is to be set. */
struct setting_change {
    const char *backend, *server; /* the server: its address as configured */
    enum setting_kind { SETTING_MODE, SETTING_WEIGHT } kind;
    enum server_mode mode;
    uint32_t weight; /* 0: that of the configuration again */
};

/* The highest weight that the operator can set. With `balance = source` that is the one of the
 * configuration, which the places of clients have been made for (worker/backend/chooser.c). */
unsigned settings_weight_max(const struct backend_config *backend,
                             const struct server_config *server);
/* How many servers of the backend the operator lets have new connections. */
size_t settings_count_enabled(const struct backend_config *backend);

/* Carries out the change, if the generation has the server, and tells the worker and the checker.
 * Returns whether that makes a difference. */
bool settings_change(struct generation *generation, const struct setting_change *change);
/* All that is set, as bytes in a memory file, for the next master. -1: nothing is, or *good is
 * false, with errno. */
int settings_to_memory(const struct generation *generation, bool *good);
/* Sets what such a file holds (-1: nothing) for the servers that the generation has. False with
 * errno: it is not such a file. */
bool settings_from_memory(struct generation *generation, int memory);
/* Takes over what was set for servers that the generation before has too: in a backend of the same
 * name, with the same address. */
void settings_inherit(struct generation *generation, const struct generation *before);

#endif
