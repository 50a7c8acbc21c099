/* immure check, by what the file is. */
#ifndef OPERATOR_CHECK_H
#define OPERATOR_CHECK_H

#include "operator/command.h"

/* `text` is the file's. */
enum exit_status check_reference(const struct options *options, const char *text, size_t length);
enum exit_status check_config(const struct options *options);

#endif
