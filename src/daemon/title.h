/* What ps shows of a process: "immure-proxy: worker". */
#ifndef DAEMON_TITLE_H
#define DAEMON_TITLE_H

/* Early in main: takes over the memory of the arguments and of the environment, whose strings move.
 * Those of argv are gone after title_set(). */
void title_setup(int argc, char **argv);
void title_set(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
