/* A terminal that one program has to itself for a while: a second screen, no cursor, no echo. */
#ifndef OPERATOR_TERMINAL_H
#define OPERATOR_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

/* False: standard input and output are no terminal, and nothing was changed. */
bool terminal_enter(void);
/* As it was before. */
void terminal_leave(void);
/* Lines of the screen. */
unsigned terminal_height(void);
/* Whether it shows UTF-8, by the locale. */
bool terminal_utf8(void);
/* Waits until a moment (CLOCK_MONOTONIC, ns). True: the user (q, Ctrl-C) or a signal wants an end.
 */
bool terminal_wait_for_end(uint64_t until);

#endif
