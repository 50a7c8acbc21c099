/*
 * Turns the values of directives back into text, so that a program can pass them on to another one.
 * It is the counterpart of value.h, which reads them.
 */
#ifndef CONF_SHOW_H
#define CONF_SHOW_H

#include "conf/grammar.h"
#include "conf/type.h"

/* The show() functions of the types in value.h. */
const char *conf_show_choice(const struct conf_directive *directive, const void *field,
                             char room[CONF_SHOW_SIZE]);
/* A number out of bounds stands for one of the choices, or was never set. */
const char *conf_show_number(const struct conf_directive *directive, const void *field,
                             char room[CONF_SHOW_SIZE]);
const char *conf_show_duration(const struct conf_directive *directive, const void *field,
                               char room[CONF_SHOW_SIZE]);
/* Shows a field of type char *. The program's own types may use it, too. */
const char *conf_show_text(const struct conf_directive *directive, const void *field,
                           char room[CONF_SHOW_SIZE]);

/* Returns the value of a directive in the struct at `base`, as conf_type.show() does. */
const char *conf_show(const struct conf_directive *directive, const void *base,
                      char room[CONF_SHOW_SIZE]);

#endif
