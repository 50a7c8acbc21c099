/*
 * Values of directives as text again: what a program passes on to another one. The counterpart of
 * value.h, which reads them.
 */
#ifndef CONF_SHOW_H
#define CONF_SHOW_H

#include "conf/value.h"

/* For conf_type.show() of the types in value.h. */
const char *conf_show_choice(const struct conf_directive *directive, const void *field,
                             char room[CONF_SHOW_SIZE]);
/* A number out of bounds is one of the choices, or the field was never set. */
const char *conf_show_number(const struct conf_directive *directive, const void *field,
                             char room[CONF_SHOW_SIZE]);
const char *conf_show_duration(const struct conf_directive *directive, const void *field,
                               char room[CONF_SHOW_SIZE]);
/* A field of type char *, in the program's own types too. */
const char *conf_show_text(const struct conf_directive *directive, const void *field,
                           char room[CONF_SHOW_SIZE]);

/* The value of a directive in the struct at `base`, as conf_type.show() returns it. */
const char *conf_show(const struct conf_directive *directive, const void *base,
                      char room[CONF_SHOW_SIZE]);

#endif
