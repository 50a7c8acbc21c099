/* What the parts of load.c share while they read a configuration. */
#ifndef PROXY_CONFIG_LOADING_H
#define PROXY_CONFIG_LOADING_H

#include "base/name_table.h"
#include "conf/tree.h"
#include "proxy/config/config.h"

struct proxy_load {
    struct proxy_config *config;
    char *directory;                       /* of the file; relative paths are relative to it */
    struct name_table keys;                /* the key files */
    const struct certificate_config **use; /* the first use of each */
    struct name_table authorities;         /* the files of each of config->authorities, as text */
    struct conf_error *error;
};

/* Fills the struct at `base` from this section, by the table of directives. */
bool load_fill(struct proxy_load *load, const struct conf_section *section, void *base);

/* Fills all backends, with their servers. */
bool load_backends(struct proxy_load *load, const struct conf_section *top);
void load_backends_clear(struct proxy_config *config);

/* Fills the routes of a frontend, its own first, with their certificates; checks them all. */
bool load_routes(struct proxy_load *load, const struct conf_section *section,
                 struct frontend_config *frontend);
void load_routes_clear(struct frontend_config *frontend);

/* Reads the files that a route verifies clients by, unless another has named them before. */
bool load_authority(struct proxy_load *load, const struct conf_section *section,
                    struct route_config *route);
void load_authorities_clear(struct proxy_config *config);

/* Fills the certificates that stand in a section of a frontend or a route. */
bool load_certificates(struct proxy_load *load, const struct conf_section *section,
                       struct route_config *route);
void load_certificates_clear(struct route_config *route);

#endif
