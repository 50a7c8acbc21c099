/*
 * The configuration file as a tree of libconfuse, each value with its line. What the values mean is
 * config.c's.
 */
#ifndef PROXY_CONFIG_PARSE_H
#define PROXY_CONFIG_PARSE_H

#include <confuse.h>

#include "proxy/config/config.h"
#include "proxy/config/value.h"

/* To be freed with cfg_free(). NULL with *error filled. Every name and every nesting in it is one
 * of the table of directives. */
cfg_t *parse_file(const char *file, struct config_error *error);

/* The values given for a directive, or its default; none if it has neither. Only a list has more
 * than one. Their texts are the tree's. */
size_t parse_count(cfg_t *section, const struct directive *directive);
struct value parse_value(cfg_t *section, const struct directive *directive, size_t i);
bool parse_given(cfg_t *section, const struct directive *directive);
/* The line on which a section begins. */
int parse_section_line(cfg_t *section);

#endif
