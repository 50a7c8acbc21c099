/* Full-screen mode: the alternate screen, without cursor and echo. */
#ifndef OPERATOR_TERMINAL_H
#define OPERATOR_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

/* False if standard input or output is not a terminal; then nothing was changed. */
bool terminal_enter(void);
/* Restores the terminal. */
void terminal_leave(void);
/* The height of the screen in lines. */
unsigned terminal_height(void);
/* The width of standard output in columns; 0: it is no terminal. */
unsigned terminal_width(void);
/* Writes a line of a table, which on a terminal is cut at its width. */
#define TERMINAL_LINE_SIZE 8192
void terminal_put_line(char line[TERMINAL_LINE_SIZE]);
/* Whether the locale uses UTF-8. */
bool terminal_utf8(void);
/* Waits until a time (CLOCK_MONOTONIC, ns). True if the user (q, Ctrl-C) or a signal asks to
 * quit. */
bool terminal_wait_for_end(uint64_t until);

#endif
