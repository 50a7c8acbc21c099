/* Puts all certificates of a configuration into a store: those of its sections, folders and lists.
 */
#ifndef PROXY_STORE_SOURCES_H
#define PROXY_STORE_SOURCES_H

#include "proxy/config/config.h"
#include "proxy/store/refusals.h"
#include "proxy/store/store.h"

struct sources_result {
    int memory;        /* the store; -1: `error` says why there is none */
    size_t read_count; /* certificates whose files were read */
    struct conf_error error;
};

/* `before`: the store in force, or NULL. A file of a folder that cannot be used is logged, and the
 * others are served; a file of a section or a list is an error. `refused`: the configuration is the
 * one in force, and only its certificates may have changed. Then a certificate of a folder stays as
 * it is in `before` while its file cannot be used. Else NULL. `tries`: the store is only looked at,
 * so nothing is logged. */
void sources_load(const struct proxy_config *config, const struct store *before,
                  const struct refusals *refused, bool tries, struct sources_result *result);

#endif
