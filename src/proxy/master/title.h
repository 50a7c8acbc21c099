/* What ps shows of a process: "immure-proxy: worker". */
#ifndef PROXY_MASTER_TITLE_H
#define PROXY_MASTER_TITLE_H

/* First of all in main: takes over the memory of the arguments and the environment, which moves.
 * argv's strings may be gone after title_set(). */
void title_setup(int argc, char **argv);
void title_set(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
