/* Values, written as words, that directives of several programs take. */
#ifndef CONF_CHOICES_H
#define CONF_CHOICES_H

#include "conf/grammar.h"

extern const struct conf_choice conf_automatic[];  /* for a number: "auto" means 0 */
extern const struct conf_choice conf_log_forms[];  /* for a bool: whether log lines are JSON */
extern const struct conf_choice conf_log_levels[]; /* for an enum log_level */

#endif
