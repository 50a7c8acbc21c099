/* The title of a process, which ps shows: "immure-proxy: worker". */
#ifndef DAEMON_TITLE_H
#define DAEMON_TITLE_H

/* Called early in main(): takes over the memory of the arguments and of the environment. The
 * strings of the environment are moved; those of argv are overwritten by title_set(). */
void title_setup(int argc, char **argv);
void title_set(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
