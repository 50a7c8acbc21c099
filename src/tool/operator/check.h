/* immure check, for each kind of file. */
#ifndef OPERATOR_CHECK_H
#define OPERATOR_CHECK_H

#include "operator/command.h"

/* `text` is the content of the file. */
enum exit_status check_reference(const struct tool_options *options, const char *text,
                                 size_t length);
enum exit_status check_config(const struct tool_options *options);

#endif
