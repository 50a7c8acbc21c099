/* Words that directives of several programs take. */
#ifndef CONF_CHOICES_H
#define CONF_CHOICES_H

#include "conf/grammar.h"

extern const struct conf_choice conf_automatic[];  /* "auto" in place of a number: 0 */
extern const struct conf_choice conf_log_forms[];  /* of a bool: whether lines are JSON */
extern const struct conf_choice conf_log_levels[]; /* of enum log_level */

#endif
