/* The one table of directives of immured.conf: what there is, how it is read, and what it means. */
#ifndef KEYD_DIRECTIVES_H
#define KEYD_DIRECTIVES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/file_table.h"

enum section { SECTION_ALL, SECTION_KEY, SECTION_PROVIDER };

struct directive_type {
    const char *name;
    bool (*set)(void *target, const char *text); /* NULL: a list of texts */
};

struct directive {
    enum section section;
    const char *name;
    const struct directive_type *type;
    size_t offset;        /* into struct config, key_config or provider_config */
    const char *standard; /* NULL: none, or what the text says */
    const char *text;
};

extern const struct directive directives[];
extern const size_t directive_count;

const struct directive *directive_find(enum section section, const char *name);
/* The one whose name was mistyped, if it looks so; or NULL. */
const struct directive *directive_guess(enum section section, const char *name);
bool directive_is_list(const struct directive *directive);
bool directive_names_backend(const struct directive *directive);
/* Into the section's struct. False: not of its type. */
bool directive_set(const struct directive *directive, void *section, const char *text);
/* The text at this place of a list, which are given in order. False: out of memory. */
bool directive_add(const struct directive *directive, void *section, size_t place,
                   const char *text);
void directives_set_standards(enum section section, void *target);
/* Those that the texts of a section's struct mean. False: out of memory. */
bool directives_open_files(enum section section, const void *target, struct file_table *files);
/* Frees the texts and lists of a section's struct. */
void directives_free(enum section section, void *target);

#endif
