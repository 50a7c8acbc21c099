/* The directives of immure-proxy.conf. */
#ifndef PROXY_CONFIG_DIRECTIVES_H
#define PROXY_CONFIG_DIRECTIVES_H

#include "conf/grammar.h"

enum section {
    SECTION_TOP = CONF_TOP,
    SECTION_FRONTEND,
    SECTION_ROUTE,
    SECTION_CERTIFICATE,
    SECTION_BACKEND,
    SECTION_SERVER,
    SECTION_ADMIN,
    SECTION_KEYS,
    SECTION_COUNT
};

extern const struct conf_grammar proxy_grammar;

#endif
