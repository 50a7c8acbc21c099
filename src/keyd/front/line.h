/* The line of the accounts that have input, in which each waits for its turn; intake.h serves it.
 */
#ifndef KEYD_FRONT_LINE_H
#define KEYD_FRONT_LINE_H

#include "keyd/front/core.h"

/* Puts a session of the account, which has input, in line for its turn. */
void line_add(struct keyd_server *server, struct account *account, struct list *input_node);
/* Lets the account's paused sessions go on if it now has few enough unread replies. */
void line_resume(struct keyd_server *server, struct account *account);

#endif
